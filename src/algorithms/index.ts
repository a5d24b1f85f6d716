/** `weir/algorithms`: the schedulers of LVS as a library. docs/algorithms.md has a table of them and examples. */
export { type IP, parseIP } from '../model/ip.ts'
export { type Port, parsePort } from '../model/port.ts'
export { type Scheduler as SchedulerName, type SchedulerFlag, schedulers } from '../model/scheduling.ts'
export {
  activate,
  type ConnectionState,
  closeConnection,
  deactivate,
  openConnection,
  setThresholds,
} from './connections.ts'
export type { OverheadModel } from './cost.ts'
export { tickSeconds } from './destination-cache.ts'
export { foldAddress, hash32, maglevHash1, maglevHash2 } from './hash.ts'
export { type MaglevServer, maglevSizes, maglevTable } from './mh-table.ts'
export type { Packet } from './packet.ts'
export { type RandomBelow, seededRandom } from './random-source.ts'
export { createScheduler, type OptionsFor } from './registry.ts'
export type { Scheduler, SchedulerOptions } from './scheduler.ts'
export { SchedulerError, type SchedulerErrorCode } from './scheduler-error.ts'
export { createServer, isUsable, type Server, type ServerSpec } from './server.ts'
export { wrrSequence } from './wrr-sequence.ts'
