import { missingPrograms } from '../../test/support/means.ts'
import { describeOutcome, runInGuest } from '../../test/support/uml.ts'
import { missingGuestMeans } from '../../test/support/uml-means.ts'
import { type GuestPlan, readFigures } from '../ipvs/figures.ts'
import { type Bench, size } from './section.ts'

const program = new URL('../ipvs/guest.js', import.meta.url)
const limitMs = 1_200_000
const memoryMiB = 1_536

/** Mode ipvs, in a guest of user-mode Linux: not every kernel has IPVS. Only ratios mean much there. */
export const ipvsSection = async (bench: Bench): Promise<void> => {
  const { options, report, begin } = bench
  const title = `ipvs, ${size(options.ipvs.services, options.endpoints)} endpoints, in a guest`
  const never = new AbortController().signal
  const missing = [...missingPrograms(tools), ...(await missingGuestMeans(never))]
  if (missing.length > 0) {
    report.notRun(title, `this machine lacks ${missing.join(', ')}`)
    return
  }
  const plan: GuestPlan = {
    ...{ seed: options.seed, services: options.ipvs.services, endpoints: options.endpoints, few: 10 },
    ...(options.quick ? { rounds: 2, changes: 300 } : { rounds: 5, changes: 600 }),
  }
  await begin(title)
  const guest = { script: program, args: [JSON.stringify(plan)], timeoutMs: limitMs, mem: memoryMiB }
  const outcome = await runInGuest(guest, never)
  for (const { name, unit, samples, ...extra } of readFigures(outcome.output)) report.add(name, unit, samples, extra)
  if (outcome.kind !== 'exited' || outcome.status !== 0) report.notRun(title, describeOutcome(outcome))
}

/** By Debian package. */
const tools = { ipvsadm: 'ipvsadm', ipset: 'ipset', 'iptables-legacy': 'iptables' } as const
