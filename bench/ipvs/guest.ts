/** For the guest: measures mode ipvs beside ipvsadm, each in a network namespace of its own, and prints figures. */
import type { ClusterSpec } from '../cluster/cluster.ts'
import { Worker } from '../process/worker.ts'
import { compareChanges } from './compare-changes.ts'
import { compareLoads } from './compare-loads.ts'
import { figureLine, type GuestFigure, type GuestPlan } from './figures.ts'
import { addNamespace } from './namespaces.ts'
import type { IpvsOperations } from './operations.ts'
import { costsOfTools } from './tools.ts'

const plan = JSON.parse(process.argv[2] ?? '') as GuestPlan
const { seed, services, endpoints, few } = plan
const report = (figure: GuestFigure): void => void process.stdout.write(figureLine(figure))
const module = new URL('./worker.js', import.meta.url)
const worker = (namespace: string): Worker<IpvsOperations> => new Worker(module, namespace)

const spec: ClusterSpec = { seed, services, endpoints, scattered: true }
// It comes first, and loads the kernel's modules before anything is measured.
await addNamespace('few')
const small = worker('few')
await small.ask('start', { ...spec, services: few })
const large = await compareLoads({ plan, spec, report, worker })
await compareChanges({ plan, report, small, large })
await costsOfTools(large, report)
const { nowMiB, peakMiB } = await large.ask('memory', undefined)
report({ name: 'resident after all of these changes', unit: 'MiB', samples: [nowMiB] })
report({ name: 'peak RSS', unit: 'MiB', samples: [peakMiB] })
// The namespaces end with the guest.
await Promise.all([small.end(), large.end()])
