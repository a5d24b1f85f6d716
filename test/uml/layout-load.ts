import { execFileSync } from 'node:child_process'
import { fixedLayout } from '../../src/backends/ipvs/fixed.ts'
import type { IpvsSettings } from '../../src/backends/ipvs/settings.ts'
import { renderIpvs } from '../../src/backends/ipvs/text.ts'
import { ruleTables } from '../../src/backends/rules/rule-table.ts'
import { canonicalRule } from '../../src/kernel/iptables/canonical.ts'
import { parseSave } from '../../src/kernel/iptables/save-parser.ts'
import type { HostState } from '../../src/model/host.ts'
import type { Family } from '../../src/model/ip.ts'
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
  renderIpvs(host, states, settingsOf(family))
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
  for (const { tool, args, input } of partsOf(cluster, cluster.host)) {
    try {
      run(tool, args, input)
    } catch (error) {
      // The device is there already when the second family comes.
      if (tool !== 'ip') throw error
    }
  }
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
