/** For the guest: every scheduler of IPVS next to ours, step by step. The argument seeds the steps; prints reports (report.ts). */
import { execFileSync } from 'node:child_process'
import { release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { KernelError } from '../../src/kernel/netlink/error.ts'
import { schedulers } from '../../src/model/scheduling.ts'
import { ip } from '../support/lvs.ts'
import { Ipvs } from './ipvs.ts'
import { kernelModel } from './kernel-model.ts'
import { writeReport } from './report.ts'
import { Trial } from './trial.ts'
import { variants } from './variants.ts'

/** Seconds that nothing in here takes, and the shortest timeout there is. */
const never = 3600
const soon = 1
const patienceMs = 20_000

// Every packet leaves through a device that swallows it; the real servers are nothing but addresses behind it.
for (const line of [
  'link add sink type dummy',
  'address add 192.0.2.1/32 dev sink',
  'address add 2001:db8::1/128 dev sink',
  'link set sink up',
  'route add default dev sink',
  '-6 route add default dev sink',
])
  execFileSync('ip', line.split(' '), { stdio: ['ignore', 'inherit', 'inherit'] })
execFileSync('modprobe', ['-d', '/run/modules', '-a', 'ip_vs', 'ip_vs_lblcr'], { stdio: 'inherit' })

const ipvs = new Ipvs()
const model = kernelModel(release())
const seed = Number(process.argv[2] ?? 1)

const missing = schedulers.filter((name, i) => {
  if (name === 'random') return false
  try {
    ipvs.addService({ kind: 'address', ip: ip('198.51.100.250'), protocol: 'TCP', port: i + 1 }, name, [])
    return false
  } catch (error) {
    if (error instanceof KernelError && error.code === 'notFound') return true
    throw error
  }
})

const lasting = (): void => ipvs.setTimeouts(never, never, never)
lasting()
const trials = variants
  .filter(({ schedulers }) => schedulers.every((name) => !missing.includes(name)))
  .map((variant, i) => new Trial(ipvs, model, variant, i + 1, seed))

for (let chapter = 0, running: readonly Trial[] = trials; running.length > 0; chapter++) {
  for (const trial of running) trial.runChapter()
  running = running.filter(({ variant }) => chapter + 1 < variant.chapters)
  // All wait for the same second.
  ipvs.setTimeouts(never, soon, soon)
  for (const trial of running) trial.retire()
  lasting()
  const deadline = performance.now() + patienceMs
  while (!running.every((trial) => trial.hasRetired()) && performance.now() < deadline) await sleep(50)
  for (const trial of running) trial.forget()
}

for (const trial of trials) writeReport(trial.report)
writeReport({ kind: 'end', release: release(), overhead: model.overhead, missing })
