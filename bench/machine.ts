import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Load averages over 1, 5 and 15 minutes. */
export const load = (): string => readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')

interface CpuTimes {
  readonly busy: number
  readonly total: number
}

const cpuTimes = (): CpuTimes => {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  const total = ticks.reduce((sum, value) => sum + value, 0)
  const [, , , idle = 0, waiting = 0] = ticks
  return { busy: total - idle - waiting, total }
}

const quietShare = 0.05
const sampleMs = 500

/** Waits until hardly anybody else uses the processors, at most `limitMs`. False when it never got quiet. */
export const quiet = async (limitMs: number): Promise<boolean> => {
  const end = performance.now() + limitMs
  let last = cpuTimes()
  while (performance.now() < end) {
    await sleep(sampleMs)
    const now = cpuTimes()
    if ((now.busy - last.busy) / Math.max(1, now.total - last.total) < quietShare) return true
    last = now
  }
  return false
}

export const machine = (): Readonly<Record<string, string | number>> => ({
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? 'unknown',
  memoryMiB: Math.round(totalmem() / 2 ** 20),
  kernel: release(),
  node: process.version,
})
