import { PassThrough, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { TextOutput } from '../../../src/cli/output.ts'

const failing = (code: string): Writable =>
  new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })) })

describe('TextOutput', () => {
  it('resolves a flush only when the last of what was written is out', async () => {
    const taken: string[] = []
    const slow = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        setTimeout(() => {
          taken.push(chunk.toString())
          done()
        }, 5)
      },
    })
    const output = new TextOutput(slow, 'standard output')
    for (const text of ['a', 'b', 'c']) output.write(text)
    expect(taken).toEqual([])
    await output.flush()
    expect(taken).toEqual(['a', 'b', 'c'])
  })

  it('flushes when nothing was written', async () => {
    await expect(new TextOutput(new PassThrough(), 'standard output').flush()).resolves.toBeUndefined()
  })

  it('is content when the reader has left, also afterwards', async () => {
    const output = new TextOutput(failing('EPIPE'), 'standard output')
    output.write('first')
    await output.flush()
    output.write('second')
    await expect(output.flush()).resolves.toBeUndefined()
  })

  it('says why it could not write', async () => {
    const output = new TextOutput(failing('ENOSPC'), 'standard output')
    output.write('first')
    output.write('second')
    await expect(output.flush()).rejects.toThrow('cannot write to standard output: write ENOSPC')
  })
})
