import { describe, expect, it } from 'vitest'
import { fakeRun } from '../exec/fake-run.ts'
import { IpsetClient } from './ipset-client.ts'
import { parseSetHeaders } from './list-parser.ts'

const { signal } = new AbortController()

const terse = `Name: KUBE-LOOP-BACK
Type: hash:ip,port,ip
Revision: 6
Header: family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0xd0ff4eb0
Size in memory: 208
References: 2
Number of entries: 3

Name: Name: odd
Type: list:set
Revision: 3
Header: size 8
Size in memory: 80
References: 0
Number of entries: 1
`

describe('parseSetHeaders', () => {
  it('reads a terse list', () => {
    expect(parseSetHeaders(terse)).toEqual([
      { name: 'KUBE-LOOP-BACK', type: 'hash:ip,port,ip', entries: 3, references: 2 },
      { name: 'Name: odd', type: 'list:set', entries: 1, references: 0 },
    ])
    expect(parseSetHeaders('')).toEqual([])
  })

  it('does not guess', () => {
    expect(parseSetHeaders('Name: X\nType: hash:ip\n')).toBeUndefined()
    expect(parseSetHeaders(terse.replace('References: 2', 'References: many'))).toBeUndefined()
  })
})

describe('IpsetClient', () => {
  const failing = (stderr: string) =>
    new IpsetClient({ run: fakeRun({ ipset: () => ({ status: 1, stdout: '', stderr }) }).run })

  it('finds nothing where the kernel has no ipset', async () => {
    expect(await failing('ipset v7.17: Cannot open session to kernel.').list(signal)).toEqual([])
  })

  it('reports other failures', async () => {
    await expect(failing('ipset v7.17: Operation not permitted').list(signal)).rejects.toMatchObject({
      code: 'rejected',
    })
    await expect(new IpsetClient({ run: fakeRun({}).run }).list(signal)).rejects.toMatchObject({ code: 'missing' })
    await expect(new IpsetClient({ run: fakeRun({ ipset: () => 'nonsense' }).run }).list(signal)).rejects.toMatchObject(
      {
        code: 'output',
      },
    )
  })

  it('tells a set in use from a set that is gone', async () => {
    const busy = failing('ipset v7.17: Set cannot be destroyed: it is in use by a kernel component')
    await expect(busy.destroy('X', signal)).rejects.toMatchObject({ code: 'busy', op: 'ipset destroy X' })
    await failing('ipset v7.17: The set with the given name does not exist').destroy('X', signal)
  })
})
