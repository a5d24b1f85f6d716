import type { Logger } from 'pino'
import type { Backend } from '../backends/backend.ts'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import { assertNever } from '../model/assert-never.ts'
import type { Family } from '../model/ip.ts'
import type { Problem } from '../model/problem.ts'
import type { RulePackets } from '../observe/metrics/iptables-metrics.ts'
import type { ServerCounts } from '../observe/metrics/ipvs-metrics.ts'
import type { ProcessTraffic } from '../observe/metrics/userspace-metrics.ts'
import type { DriftReason } from '../sync/events.ts'
import { openNftables } from './kernel.ts'
import { openIptables } from './kernel-iptables.ts'
import { openIpvs } from './kernel-ipvs.ts'
import { openUserspace } from './kernel-userspace.ts'
import { tryRemoveOwnTables } from './own-tables.ts'
import { describeOwnTables, describeTakeover } from './takeover-report.ts'

/** What of other modes was removed, and what could not be. */
export interface Handover {
  /** For the log. */
  readonly lines: readonly string[]
  readonly errors: readonly Error[]
}

/** Connections that go through this process. */
export interface Traffic {
  measure(): ProcessTraffic
  /** For `weir status`. */
  status(): object
  /** Rejects when forwarding cannot go on; settles in no other way. */
  readonly failed: Promise<never>
  /** Accepts nothing any more, and gives what is under way the configured time. */
  drain(): Promise<void>
}

/** The part of the kernel that one mode programs. */
export interface Kernel {
  /** One for each family that this node can use. */
  readonly backends: readonly Backend[]
  /** Reads what the rules have counted; undefined where they count nothing. */
  readonly packets: (() => Promise<RulePackets | undefined>) | undefined
  /** undefined where the kernel forwards. */
  readonly traffic: Traffic | undefined
  /** Counts what is in the kernel; only in mode ipvs. */
  readonly servers?: () => readonly ServerCounts[]
  /** Removes what other modes left. Only once our own rules are in place, so that a swap leaves no gap. */
  takeOver(signal: AbortSignal): Promise<Handover>
  close(): void
}

export interface KernelListener {
  /** Somebody else wrote to what is ours. */
  readonly drift: OnDrift
  /** Something about one object that cannot be had. */
  readonly problem: (problem: Problem) => void
}

export type OnDrift = (family: Family, reason: DriftReason) => void

/** @throws FatalError with what is missing */
export const openKernel = async (
  config: Config,
  { drift, problem }: KernelListener,
  logger: Logger,
  signal: AbortSignal,
): Promise<Kernel> => {
  switch (config.mode) {
    case 'nftables': {
      const { backends, close } = await openNftables(drift, logger, signal)
      return { backends, packets: undefined, traffic: undefined, takeOver: takeOverToNftables, close }
    }
    case 'iptables':
      return openIptables(config, drift, logger, signal)
    case 'ipvs':
      return openIpvs(config, { drift, problem }, logger, signal)
    case 'userspace':
      return openUserspace(config, { drift, problem }, logger, signal)
    default:
      return assertNever(config.mode, 'mode')
  }
}

const takeOverToNftables = async (signal: AbortSignal): Promise<Handover> => {
  const { tables, errors } = await tryRemoveOwnTables(['userspace'], signal)
  const report = await removeLeftovers(signal)
  return {
    lines: [...describeTakeover(report), ...describeOwnTables(tables)],
    errors: [...errors, ...report.errors],
  }
}
