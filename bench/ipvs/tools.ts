import type { Worker } from '../process/worker.ts'
import type { GuestFigure } from './figures.ts'
import type { IpvsOperations, ToolRun } from './operations.ts'

/** What kube-proxy 1.36 runs at each sync, besides its questions about virtual servers. */
const setLists = 17
const ruleChecks = 20

/**
 * Programs that kube-proxy starts at each sync in this mode, on the sets, rules and virtual servers of this node. It asks for
 * virtual servers and real servers by netlink; one `ipvsadm -Sn` reads the same.
 */
export const costsOfTools = async (
  worker: Worker<IpvsOperations>,
  report: (figure: GuestFigure) => void,
): Promise<void> => {
  const read = async (command: readonly string[]): Promise<readonly string[]> => {
    const { stdout } = await worker.ask('tools', [{ command }])
    return stdout.split('\n').filter((line) => line !== '')
  }
  const sets = await read(['ipset', 'list', '-n'])
  const lists = Array.from(
    { length: setLists },
    (_, i): ToolRun => ({ command: ['ipset', 'list', sets[i % sets.length] ?? ''] }),
  )
  const rules = await read(['iptables-legacy', '-t', 'nat', '-S'])
  const rule = rules.find((line) => line.startsWith('-A ') && !line.includes('"'))
  if (rule === undefined) throw new Error('no rule to check for')
  const check = ['iptables-legacy', '-w', '5', '-t', 'nat', ...rule.replace('-A', '-C').split(' ')]
  const checks = Array.from({ length: ruleChecks }, (): ToolRun => ({ command: check }))
  for (const [name, runs] of [
    [`kube-proxy's programs: ipset list, ${setLists} times`, lists],
    [`kube-proxy's programs: iptables -C, ${ruleChecks} times`, checks],
    ['ipvsadm -Sn once, for what it asks by netlink', [{ command: ['ipvsadm', '-Sn'] }]],
  ] as const) {
    const samples: number[] = []
    for (let i = 0; i < 3; i++) samples.push((await worker.ask('tools', runs)).ms)
    report({ name, unit: 'ms', samples })
  }
}
