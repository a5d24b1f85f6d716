import { describe, expect, test } from 'vitest'
import { KernelError } from '../netlink/error.ts'
import { Batch } from './batch.ts'
import { FakeNft } from './fake.ts'
import { splitStatements } from './fake-grammar.ts'

const { signal } = new AbortController()
const table = { family: 'ip', name: 't' } as const

const withTable = async (): Promise<FakeNft> => {
  const fake = new FakeNft()
  await fake.runText(
    'table ip t { map m { type ipv4_addr : verdict; }; chain used { return; }; chain base { type nat hook output priority 0; ip daddr vmap @m; }; }',
    signal,
  )
  return fake
}

const entry = (chain: string): Batch => {
  const batch = new Batch('ip', 't')
  batch.elements('add', 'm')
  batch.element(4)
  batch.verdict({ kind: 'goto', chain })
  batch.endElement()
  return batch
}

describe('FakeNft', () => {
  test('counts references from elements and frees them with the element', async () => {
    const fake = await withTable()
    await fake.commit(entry('used'), signal)
    const remove = (): Batch => {
      const batch = new Batch('ip', 't')
      batch.deleteChain('used')
      return batch
    }
    await expect(fake.commit(remove(), signal)).rejects.toMatchObject({ code: 'busy' })
    const both = new Batch('ip', 't')
    both.flushSet('m')
    both.deleteChain('used')
    await fake.commit(both, signal)
    expect((await fake.chains(table, signal)).map(({ name }) => name)).toEqual(['base'])
  })

  test('keeps nothing of a batch that fails', async () => {
    const fake = await withTable()
    const before = fake.generation(signal)
    const batch = new Batch('ip', 't')
    batch.addChain('new')
    batch.flushChain('used')
    batch.mark('bad')
    batch.deleteChain('none')
    await expect(fake.commit(batch, signal)).rejects.toMatchObject({ code: 'notFound', tag: 'bad' })
    expect((await fake.chains(table, signal)).map(({ name }) => name)).toEqual(['used', 'base'])
    expect(await fake.rules(table, signal)).toHaveLength(2)
    expect(fake.generation(signal)).toBe(before)
    expect(fake.committed).toEqual([])
  })

  test('keeps nothing of a script that fails', async () => {
    const fake = await withTable()
    await expect(fake.runText('add chain ip t x\ndelete set ip t m\n', signal)).rejects.toMatchObject({ code: 'busy' })
    expect((await fake.chains(table, signal)).map(({ name }) => name)).toEqual(['used', 'base'])
  })

  test('fails once when asked to', async () => {
    const fake = await withTable()
    fake.failNext = new KernelError({ code: 'busy', op: 'test' })
    await expect(fake.commit(entry('used'), signal)).rejects.toMatchObject({ op: 'test' })
    await fake.commit(entry('used'), signal)
  })

  test('refuses what it does not know instead of ignoring it', async () => {
    const fake = await withTable()
    for (const script of [
      'add flowtable ip t f',
      'reset counters',
      'table ip t { set s { type ether_addr; }; }',
      'table ip t { set s { type ipv4_addr; elements = { 1.2.3.4 }; }; }',
      'table ipx t { }',
    ])
      await expect(fake.runText(script, signal), script).rejects.toMatchObject({ code: 'unsupported' })
  })
})

test('statements end at line ends and semicolons outside braces and quotes', () => {
  expect(splitStatements('a b; c { d; e }\n# no\nf "x;y" # comment\n\n g')).toEqual([
    'a b',
    'c { d; e }',
    'f "x;y"',
    'g',
  ])
})
