import { execFileSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { ipvsDevice } from '../../src/backends/ipvs/settings.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import { allTables, type TableTitle } from './all-tables.ts'
import { IpvsUnderTest } from './ipvs.ts'
import { playTable } from './run-flows.ts'
import { Stage } from './stage.ts'

/** Parts of all tables that take about as long as each other: in a guest, starts and changed settings are what takes time. */
export const fifths = {
  masquerade: ['masquerade'],
  policies: ['policies', 'unwanted', 'ownership'],
  reach: ['reach', 'edges'],
  addresses: ['NodePort addresses', 'source ranges'],
  endpoints: ['endpoints', 'topology', 'weights'],
} as const satisfies Readonly<Record<string, readonly TableTitle[]>>

/**
 * IPVS knows a connection by its client and its real server: of two that a client has from one port to two addresses, and
 * that get the same real server, only the younger one is answered. So no port is used twice.
 */
export const createIpvsStage = (protocols: readonly Protocol[]): Promise<Stage> =>
  Stage.create(protocols, { ownPorts: true })

/** Plays tables on a stage of its own, which goes with the test. For a guest. */
export const playIpvs = async (
  titles: readonly TableTitle[],
  protocols: readonly Protocol[] = ['TCP', 'UDP'],
): Promise<void> => {
  const stage = await createIpvsStage(protocols)
  t.teardown(() => stage.close())
  const backend = new IpvsUnderTest({ keep: true })
  for (const title of titles) await playTable(title, allTables[title], { backend, stage, protocols })
  await t.test('clean-up leaves nothing', async (t) => {
    t.match(leftovers(), { servers: /->/, device: true, sets: /KUBE-/, rules: /KUBE-/ }, 'there was something')
    await backend.remove()
    t.same(leftovers(), { servers: '', device: false, sets: '', rules: '' })
  })
}

const run = (program: string, ...args: readonly string[]): string => execFileSync(program, args, { encoding: 'utf8' })

/** What mode ipvs has in the kernel. */
export const leftovers = () => ({
  servers: run('ipvsadm', '-S', '-n').replaceAll(/^-a .*-r/gm, '->'),
  device: Object.hasOwn(networkInterfaces(), ipvsDevice),
  sets: run('ipset', 'list', '-n'),
  rules: ['iptables-legacy-save', 'ip6tables-legacy-save']
    .flatMap((program) => run(program).match(/^(?::|-A \S+ .*-j )(?:KUBE|WEIR)-.*$/gm) ?? [])
    .join('\n'),
})
