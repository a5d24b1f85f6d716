import type { Bench } from '../sections/section.ts'
import type { Pair } from './fleet.ts'

/** What `systemctl restart firewalld` does, among others: all chains and rules of all tables are gone. */
const flushAll = {
  args: [],
  input: ['filter', 'nat', 'mangle'].map((table) => `*${table}\nCOMMIT\n`).join(''),
} as const

const flushOne = { args: ['--noflush'], input: '*nat\n-F KUBE-SERVICES\nCOMMIT\n' } as const

/** A repair takes as long as a first sync, and some. */
const patienceMs = 10_000

/** Services that come and go, many changes at once, and rules that somebody else removes. */
export const otherChanges = async ({ options, report }: Bench, { name, weir, cold }: Pair): Promise<void> => {
  const repetitions = options.quick ? 2 : 4
  const comes: number[] = []
  const goes: number[] = []
  for (let i = 0; i < repetitions; i++) comes.push((await weir.ask('service', 'comes')).totalMs)
  for (let i = 0; i < repetitions; i++) goes.push((await weir.ask('service', 'goes')).totalMs)
  report.add(`${name}, a Service comes`, 'ms', comes)
  report.add(`${name}, a Service goes`, 'ms', goes)
  const bursts: number[] = []
  for (let i = 0; i < repetitions; i++) bursts.push((await weir.ask('burst', 100)).totalMs)
  report.add(`${name}, 100 changes in a burst`, 'ms', bursts)
  report.add(`${name}, peak RSS of weir so far`, 'MiB', [await weir.ask('peak', undefined)])
  if (!options.iptables.repairs && cold.some(({ totalMs }) => totalMs > patienceMs)) {
    report.progress(`${name}: repairs are left out, for a first sync takes long; --iptables-repairs measures them`)
    return
  }
  report.add(`${name}, KUBE-SERVICES emptied by others → repaired`, 'ms', [await weir.ask('damage', flushOne)])
  report.add(`${name}, all tables flushed by others → repaired`, 'ms', [await weir.ask('damage', flushAll)])
  report.add(`${name}, peak RSS of weir after all that`, 'MiB', [await weir.ask('peak', undefined)])
}
