/** What a pick costs, for each scheduler and size of the service, next to a naive implementation. Prints a table, writes JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { schedulers } from '../../src/model/scheduling.ts'
import { load, machine } from '../machine.ts'
import { figure } from '../report.ts'
import { bytesPerPick, nsPerPick } from './measure.ts'
import { parseAlgorithmOptions } from './options.ts'
import { agree, makeServers, ours, theirs } from './service.ts'

const sizes = [2, 16, 256, 4096] as const
const heapPicks = 1_000_000
/** Bytes per pick. The smallest object has 16, so one that is made on every sixteenth pick would show. */
const heapNoise = 1

interface Row {
  readonly scheduler: string
  readonly servers: number
  readonly nsPerPick: number
  readonly naiveNsPerPick: number
}
interface Heap {
  readonly scheduler: string
  readonly bytesPerPick: number
}

const options = parseAlgorithmOptions(process.argv.slice(2))
const names = schedulers.filter((name) => options.only.length === 0 || options.only.includes(name))
const print = (text: string): void => void process.stdout.write(`${text}\n`)
const cell = (text: string, width = 9): string => text.padStart(width)
const loadBefore = load()

print(
  `${Object.entries(machine())
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')}; load ${loadBefore}`,
)
print('\nns per pick, naive implementation in brackets; a connection opened and one closed included')
print(
  `${''.padEnd(8)}${sizes.map((size) => cell(`${size.toLocaleString('en')} servers`, 22)).join('')}${cell('B/pick')}`,
)

const rows: Row[] = []
const heap: Heap[] = []
for (const name of names) {
  let line = name.padEnd(8)
  for (const size of sizes) {
    agree(name, size)
    const row = {
      scheduler: name,
      servers: size,
      nsPerPick: nsPerPick(ours(name, makeServers(size)), options.ms),
      naiveNsPerPick: nsPerPick(theirs(name, makeServers(size)), options.ms),
    }
    rows.push(row)
    line += `${cell(figure(row.nsPerPick), 10)}${cell(`(${figure(row.naiveNsPerPick)})`, 12)}`
  }
  const bytes = bytesPerPick(ours(name, makeServers(16)), heapPicks)
  heap.push({ scheduler: name, bytesPerPick: bytes })
  print(`${line}${cell(bytes < heapNoise ? `< ${heapNoise}` : figure(bytes))}`)
}
const growing = heap.filter(({ bytesPerPick }) => bytesPerPick >= heapNoise)
print(
  growing.length === 0
    ? `\nNone allocates when it picks: the heap grows by less than ${heapNoise} byte per pick over ${heapPicks.toLocaleString('en')} picks.`
    : `\nThese allocate when they pick: ${growing.map(({ scheduler }) => scheduler).join(', ')}`,
)

mkdirSync(dirname(options.json), { recursive: true })
const results = { machine: machine(), load: { before: loadBefore, after: load() }, picks: rows, heap }
writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
print(`written to ${options.json}`)
