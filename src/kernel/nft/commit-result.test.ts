import { describe, expect, test } from 'vitest'
import { NLM_F_CAPPED, NLMSG_ERROR } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { Writer } from '../netlink/wire.ts'
import { Batch } from './batch.ts'
import { readCommitReply } from './commit-result.ts'

const answer = (sequence: number, errno: number): Uint8Array => {
  const writer = new Writer()
  const message = writer.message(NLMSG_ERROR, NLM_F_CAPPED, sequence)
  const at = writer.reserve(20)
  writer.view.setInt32(at, -errno, true)
  writer.endMessage(message)
  return writer.finish()
}
const overflow = KernelError.ofErrno('receive', 105)

/** A batch of two messages, numbered 2 and 3; BATCH_END is 4. */
const batch = new Batch('ip', 't')
batch.mark('first')
batch.addChain('a')
batch.mark('second')
batch.deleteChain('b')
batch.finish()

const reply = (...script: readonly (Uint8Array | KernelError)[]) => {
  const left = [...script]
  const result = readCommitReply(() => {
    const next = left.shift()
    if (next instanceof KernelError) throw next
    return next
  }, batch)
  return { result, left: left.length }
}

describe('readCommitReply', () => {
  test('an acknowledged BATCH_END confirms', () => {
    expect(reply(answer(4, 0))).toEqual({ result: { kind: 'confirmed' }, left: 0 })
  })

  test('an acknowledged inner message does not', () => {
    expect(reply(answer(2, 0)).result).toEqual({ kind: 'silent' })
  })

  test('older kernels say nothing', () => {
    expect(reply().result).toEqual({ kind: 'silent' })
  })

  test('a refusal wins over an acknowledged end, and the first over the others', () => {
    const { result, left } = reply(answer(3, 2), answer(2, 17), answer(4, 0))
    expect(left).toBe(0)
    expect(result).toMatchObject({ kind: 'refused', error: { code: 'notFound', tag: 'second', errno: 2 } })
    expect(result.kind === 'refused' && result.error.detail).toMatch(/2 messages/)
  })

  test('lost replies are not taken for silence, but a refusal among the rest is one', () => {
    expect(reply(overflow, answer(2, 0)).result).toEqual({ kind: 'lost', cause: overflow })
    expect(reply(overflow, answer(2, 17)).result).toMatchObject({ kind: 'refused', error: { code: 'exists' } })
    expect(reply(overflow, answer(4, 0)).result).toEqual({ kind: 'confirmed' })
  })

  test('without privileges the refusal is about the batch itself', () => {
    expect(reply(answer(1, 1)).result).toMatchObject({ kind: 'refused', error: { code: 'permission', tag: undefined } })
  })
})
