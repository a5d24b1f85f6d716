import type { Logger } from 'pino'
import type { Backend } from '../backends/backend.ts'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import { assertNever } from '../model/assert-never.ts'
import type { Family } from '../model/ip.ts'
import type { RulePackets } from '../observe/metrics/iptables-metrics.ts'
import type { DriftReason } from '../sync/events.ts'
import { openNftables } from './kernel.ts'
import { openIptables } from './kernel-iptables.ts'
import { describeTakeover } from './takeover-report.ts'

/** What of other modes was removed, and what could not be. */
export interface Handover {
  /** For the log. */
  readonly lines: readonly string[]
  readonly errors: readonly Error[]
}

/** The part of the kernel that one mode programs. */
export interface Kernel {
  /** One for each family that this node can use. */
  readonly backends: readonly Backend[]
  /** Reads what the rules have counted; undefined where they count nothing. */
  readonly packets: (() => Promise<RulePackets | undefined>) | undefined
  /** Removes what other modes left. Only once our own rules are in place, so that a swap leaves no gap. */
  takeOver(signal: AbortSignal): Promise<Handover>
  close(): void
}

export type OnDrift = (family: Family, reason: DriftReason) => void

/** @throws FatalError with what is missing */
export const openKernel = async (
  config: Config,
  onDrift: OnDrift,
  logger: Logger,
  signal: AbortSignal,
): Promise<Kernel> => {
  switch (config.mode) {
    case 'nftables': {
      const { backends, close } = await openNftables(onDrift, logger, signal)
      return { backends, packets: undefined, takeOver: takeOverToNftables, close }
    }
    case 'iptables':
      return openIptables(config, onDrift, logger, signal)
    default:
      return assertNever(config.mode, 'mode')
  }
}

const takeOverToNftables = async (signal: AbortSignal): Promise<Handover> => {
  const report = await removeLeftovers(signal)
  return { lines: describeTakeover(report), errors: report.errors }
}
