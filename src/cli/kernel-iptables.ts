import type { Logger } from 'pino'
import { IptablesBackend } from '../backends/iptables/backend.ts'
import { invalidDropped, localhostAccepted, type NodeFacts } from '../backends/iptables/prepare.ts'
import { setRoles } from '../backends/iptables/sets.ts'
import { type ChainMode, concernsUs } from '../backends/kube-chains.ts'
import { nodeKernel, removeLeftovers, type TakeoverKernel } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import { openIpset } from '../kernel/ipset/netlink-ipset.ts'
import type { Variant } from '../kernel/iptables/iptables.ts'
import { IptablesClient } from '../kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../kernel/iptables/open-ruleset-watch.ts'
import type { IptablesTool } from '../kernel/iptables/probe.ts'
import type { RulesetWatchOptions } from '../kernel/iptables/ruleset-watch.ts'
import type { Nfacct } from '../kernel/nfacct/nfacct.ts'
import type { Family } from '../model/ip.ts'
import type { RulePackets } from '../observe/metrics/iptables-metrics.ts'
import { type IptablesFacts, iptablesSettings } from './iptables-settings.ts'
import { chooseTools, iptablesUnusable } from './iptables-tools.ts'
import { setsObstacle } from './kernel-sets.ts'
import type { Handover, Kernel, OnDrift } from './open-kernel.ts'
import { everyTable, tryRemoveOwnTables } from './own-tables.ts'
import { prepareIptables, tryNfacct } from './prepare-iptables.ts'
import { describeOwnTables, describeTakeover } from './takeover-report.ts'

/**
 * Chooses the programs, sets up the node as rules need it, and makes a backend for each family. `onDrift` hears when
 * somebody else wrote to the tables.
 *
 * @throws FatalError with what is missing
 */
export const openIptables = async (
  config: Config,
  onDrift: OnDrift,
  logger: Logger,
  signal: AbortSignal,
): Promise<Kernel> => {
  const { variant, tools } = await chooseTools(config.iptables.variant, logger, signal)
  logger.info({ variant, families: [...tools.keys()] }, 'Using iptables')
  const nfacct = tryNfacct()
  const ipset = openIpset()
  const onForeignWrite = (family: Family): void => onDrift(family, 'elementsChanged')
  const watch = openWatch({ variant, families: [...tools.keys()], onForeignWrite, concerns: concernsUs })
  const close = (): void => {
    watch.close()
    ipset.close()
    nfacct?.close()
  }
  try {
    const facts = await prepareIptables(config, { servesIPv4: tools.has('IPv4'), nfacct }, signal)
    if (facts.routeLocalnet) logger.info('route_localnet is on, so that NodePorts answer on 127.0.0.1')
    const noSets = config.iptables.ipset ? await setsObstacle(ipset, Object.values(setRoles), signal) : undefined
    if (noSets !== undefined) logger.warn(`no ipsets can be had, using kube-proxy's rules instead: ${noSets}`)
    const served = [...tools.values()].map((tool) => ({ tool, iptables: clientOf(tool, watch) }))
    const backends = served.map(({ tool, iptables }) => {
      const { family } = tool
      const settings = iptablesSettings(config, family, factsOf(tool, facts, noSets === undefined))
      return new IptablesBackend({ family, settings, iptables, watch, ipset: noSets === undefined ? ipset : undefined })
    })
    const clients = served.map(({ iptables }) => iptables)
    return {
      backends,
      packets: facts.nfacct && nfacct !== undefined ? () => readPackets(nfacct, signal) : undefined,
      traffic: undefined,
      takeOver: (during) => takeOverBeside('iptables', variant, clients, during),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

const factsOf = ({ features }: IptablesTool, facts: NodeFacts, ipset: boolean): IptablesFacts => ({
  dropInvalid: facts.dropInvalid,
  randomFully: features.randomFully,
  nfacct: facts.nfacct,
  ipset,
})

/** @throws FatalError */
export const openWatch = (options: RulesetWatchOptions): Watch => {
  try {
    return openRulesetWatch(options)
  } catch (error) {
    throw iptablesUnusable(error)
  }
}

type Watch = ReturnType<typeof openRulesetWatch>

export const clientOf = ({ variant, family, program, version }: IptablesTool, witness: Watch): IptablesClient =>
  new IptablesClient(variant, family, { program, witness, ...(version === undefined ? {} : { version }) })

const readPackets = async (nfacct: Nfacct, signal: AbortSignal): Promise<RulePackets | undefined> => {
  const dropped = await nfacct.read(invalidDropped, signal)
  const accepted = await nfacct.read(localhostAccepted, signal)
  if (dropped === undefined || accepted === undefined) return undefined
  return { invalidDropped: dropped.packets, localhostAccepted: accepted.packets }
}

/** Removes what other modes left, beside the chains, sets and virtual servers that `mode` has in this variant. */
export const takeOverBeside = async (
  mode: ChainMode,
  variant: Variant,
  clients: readonly IptablesClient[],
  signal: AbortSignal,
): Promise<Handover> => {
  const { tables, errors } = await tryRemoveOwnTables(everyTable, signal)
  const families = clients.map(({ family }) => family)
  const report = await removeLeftovers(signal, {
    kernel: withClients(clients),
    inUse: { mode, variant, families },
  })
  return {
    lines: [...describeTakeover(report), ...describeOwnTables(tables)],
    errors: [...errors, ...report.errors],
  }
}

/** What clean-up writes to the tables that are watched is no foreign write. */
const withClients = (clients: readonly IptablesClient[]): TakeoverKernel => {
  const kernel = nodeKernel()
  const iptables = kernel.iptables.map(
    (other) => clients.find(({ variant, family }) => variant === other.variant && family === other.family) ?? other,
  )
  return { ...kernel, iptables }
}
