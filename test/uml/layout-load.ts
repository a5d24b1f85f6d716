import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fixedLayout } from '../../src/backends/ipvs/fixed.ts'
import type { IpvsSettings } from '../../src/backends/ipvs/settings.ts'
import { renderIpvs } from '../../src/backends/ipvs/text.ts'
import { ruleTables } from '../../src/backends/rules/rule-table.ts'
import { canonicalRule } from '../../src/kernel/iptables/canonical.ts'
import { parseSave } from '../../src/kernel/iptables/save-parser.ts'
import type { HostState } from '../../src/model/host.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Cluster } from './layout-cluster.ts'
import { writeReport } from './layout-report.ts'

export const run = (command: string, args: readonly string[], input = ''): void => {
  execFileSync(command, args, { encoding: 'utf8', input })
}

const settingsOf = (family: Family): IpvsSettings => ({
  ...{ family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully: true },
})

/** The parts of the text, each for the tool that its heading names. */
const partsOf = ({ family, states }: Cluster, host: HostState) =>
  // As `weir render` does for both: the second family finds the device there.
  renderIpvs(host, states, settingsOf(family), { device: family === families[0] })
    .split(/^# IPv[46]: /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n')
      const [tool = '', ...args] = part.slice(0, end).split(' ')
      // This kernel has the older iptables alone.
      return { tool: tool.replace('tables-restore', 'tables-legacy-restore'), args, input: part.slice(end + 1) }
    })

/** As on a clean node. */
export const load = (cluster: Cluster): void => {
  for (const { tool, args, input } of partsOf(cluster, cluster.host)) run(tool, args, input)
}

/** The kernel makes an IPv6 address its own some time after it has accepted it. */
export const untilLocal = async (device: string): Promise<void> => {
  const ip = (args: string): string => execFileSync('ip', args.split(' '), { encoding: 'utf8' })
  const [link] = JSON.parse(ip(`-6 -j addr show dev ${device} scope global`)) as readonly Addresses[]
  // Where an address is left out, an empty object stands for it.
  const all = link?.addr_info.flatMap(({ local }) => local ?? []) ?? []
  const isLocal = (): boolean => {
    const lines = ip('-6 route show table local').split('\n')
    return all.every((address) => lines.some((line) => line.startsWith(`local ${address} `)))
  }
  while (!isLocal()) await sleep(20)
}

interface Addresses {
  readonly addr_info: readonly { readonly local?: string }[]
}

/** What differs between hosts is rules and marks. The other family's virtual servers go. */
export const reload = (cluster: Cluster, host: HostState): void => {
  const marked = /^(?:create|add) \S*INSIDE /
  for (const { tool, args, input } of partsOf(cluster, host)) {
    const lines = input.split('\n')
    // Without --noflush the whole tables are exchanged.
    if (tool.endsWith('-restore')) run(tool, [], input)
    else if (tool === 'ipset')
      run(
        tool,
        ['-exist', ...args],
        lines
          .filter((line) => marked.test(line))
          .join('\n')
          .concat('\n'),
      )
    else if (tool === 'ipvsadm') {
      run(tool, ['-C'])
      run(tool, args, input)
    }
  }
}

/** What iptables-save says is what was wanted, in its words: nothing is written again that is there. */
export const readBack = ({ family, host }: Cluster): void => {
  const save = family === 'IPv4' ? 'iptables-legacy-save' : 'ip6tables-legacy-save'
  const { tables } = parseSave(execFileSync(save, { encoding: 'utf8' }))
  const layout = fixedLayout(host, settingsOf(family))
  for (const table of ruleTables) {
    const { chains, hooks } = layout[table]
    const found = tables.find(({ name }) => name === table)?.rules ?? []
    const wanted = [
      ...chains.flatMap(({ name, head, tail }) => [...head, ...tail].map((rule) => ({ chain: name, rule }))),
      ...hooks,
    ].map(({ chain, rule }) => `${chain} ${canonicalRule(rule, family)}`)
    const sorted = (rules: readonly string[]): string => rules.toSorted().join('\n')
    const got = sorted(found.map(({ chain, rule }) => `${chain} ${rule}`))
    writeReport({ family, name: `rules of ${table}`, got, want: sorted(wanted) })
  }
}
