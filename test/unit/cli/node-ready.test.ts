import { describe, expect, it } from 'vitest'
import { type NodeReadyOptions, waitForNode } from '../../../src/cli/node-ready.ts'
import { parseCidr } from '../../../src/model/cidr.ts'
import { parseIP } from '../../../src/model/ip.ts'

const addresses = [parseIP('192.0.2.1') ?? expect.unreachable()]
const podCidrs = [parseCidr('10.0.0.0/24') ?? expect.unreachable()]
const bare = { addresses: [], podCidrs: [] }

/** Time passes only by sleeping; `nodes` are what the Node is from a given millisecond on. */
const scene = (
  nodes: ReadonlyMap<number, ReturnType<NodeReadyOptions['node']>>,
  more: Partial<NodeReadyOptions> = {},
) => {
  let now = 0
  const warnings: string[] = []
  const said: string[] = []
  const options: NodeReadyOptions = {
    node: () => [...nodes].findLast(([from]) => from <= now)?.[1],
    nodeName: 'node-1',
    needs: { address: true, podCidrs: false },
    once: false,
    warn: (line) => warnings.push(line),
    info: (line) => said.push(line),
    sleep: async (ms) => {
      now += ms
    },
    ...more,
  }
  return { options, warnings, said, elapsed: () => now }
}
const { signal } = new AbortController()

describe('waitForNode', () => {
  it('goes on at once when everything is there', async () => {
    const { options, warnings, said, elapsed } = scene(new Map([[0, { addresses, podCidrs: [] }]]))
    await waitForNode(options, signal)
    expect([elapsed(), warnings, said]).toEqual([0, [], []])
  })

  it('waits for a Node that comes late, and for its address', async () => {
    const nodes = new Map([
      [2_000, bare],
      [5_000, { addresses, podCidrs: [] }],
    ])
    const { options, warnings, said, elapsed } = scene(nodes)
    await waitForNode(options, signal)
    expect([elapsed(), warnings]).toEqual([5_000, []])
    expect(said).toEqual(['Waiting up to 30 s for Node node-1 to have an address'])
  })

  it('goes on without an address after 30 s', async () => {
    const { options, warnings, elapsed } = scene(new Map([[0, bare]]))
    await waitForNode(options, signal)
    expect([elapsed(), warnings]).toEqual([30_000, ['Node node-1 has no address: going on without one']])
  })

  it('says when there is no Node at all', async () => {
    const { options, warnings } = scene(new Map())
    await waitForNode(options, signal)
    expect(warnings).toEqual(['there is no Node node-1, hence no address: going on without one'])
  })

  it('does not wait for an address that is not needed', async () => {
    const { options, warnings, elapsed } = scene(new Map(), { needs: { address: false, podCidrs: false } })
    await waitForNode(options, signal)
    expect([elapsed(), warnings]).toEqual([0, []])
  })

  it('waits 5 min for podCIDRs, and then goes no further', async () => {
    const needs = { address: true, podCidrs: true }
    const late = scene(
      new Map([
        [0, { addresses, podCidrs: [] }],
        [299_000, { addresses, podCidrs }],
      ]),
      { needs },
    )
    await waitForNode(late.options, signal)
    expect(late.elapsed()).toBe(299_000)
    const never = scene(new Map([[0, { addresses, podCidrs: [] }]]), { needs })
    await expect(waitForNode(never.options, signal)).rejects.toThrow(
      'Node node-1 has no podCIDRs, which detectLocalMode NodeCIDR needs',
    )
    expect(never.elapsed()).toBe(300_000)
  })

  it('waits for nothing when there is only one sync', async () => {
    const needs = { address: true, podCidrs: true }
    const { options, warnings, elapsed } = scene(new Map([[0, bare]]), { needs, once: true })
    await expect(waitForNode(options, signal)).rejects.toThrow('no podCIDRs')
    expect([elapsed(), warnings]).toEqual([0, ['Node node-1 has no address: going on without one']])
  })

  it('neither warns nor fails when told to end', async () => {
    const stop = new AbortController()
    const needs = { address: true, podCidrs: true }
    const { options, warnings } = scene(new Map([[0, bare]]), { needs, sleep: async () => stop.abort() })
    await waitForNode(options, stop.signal)
    expect(warnings).toEqual([])
  })
})
