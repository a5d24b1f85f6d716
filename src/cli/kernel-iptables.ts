import type { Logger } from 'pino'
import { IptablesBackend } from '../backends/iptables/backend.ts'
import { invalidDropped, localhostAccepted, type NodeFacts } from '../backends/iptables/prepare.ts'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import { openIpset } from '../kernel/ipset/netlink-ipset.ts'
import { IptablesClient } from '../kernel/iptables/iptables-client.ts'
import type { IptablesTool } from '../kernel/iptables/probe.ts'
import type { RulePackets } from '../observe/metrics/iptables-metrics.ts'
import { type IptablesFacts, iptablesSettings } from './iptables-settings.ts'
import { type ChosenTools, chooseTools } from './iptables-tools.ts'
import { setsObstacle } from './kernel-sets.ts'
import type { Handover, Kernel, OnDrift } from './open-kernel.ts'
import { removeOwnTables } from './own-tables.ts'
import { openNfacct, openRulesetWatch } from './pending.ts'
import { prepareIptables } from './prepare-iptables.ts'
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
  const chosen = await chooseTools(config.iptables.variant, logger, signal)
  const { variant, tools } = chosen
  logger.info({ variant, families: [...tools.keys()] }, 'Using iptables')
  const nfacct = openNfacct()
  const ipset = openIpset()
  const watch = openRulesetWatch({ variant, report: (family) => onDrift(family, 'elementsChanged') })
  const close = (): void => {
    watch.close()
    ipset.close()
    nfacct.close()
  }
  try {
    const facts = await prepareIptables(config, tools.has('IPv4'), signal)
    if (facts.routeLocalnet) logger.info('route_localnet is on, so that NodePorts answer on 127.0.0.1')
    const noSets = config.iptables.ipset ? await setsObstacle(ipset, signal) : undefined
    if (noSets !== undefined) logger.warn(`no ipsets can be had, using kube-proxy's rules instead: ${noSets}`)
    const backends = [...tools.values()].map((tool) => {
      const settings = iptablesSettings(config, tool.family, factsOf(tool, facts, noSets === undefined))
      const parts = { family: tool.family, settings, iptables: clientOf(tool), watch }
      return new IptablesBackend({ ...parts, ipset: noSets === undefined ? ipset : undefined })
    })
    return {
      backends,
      packets: facts.nfacct ? () => readPackets(nfacct, signal) : undefined,
      takeOver: (during) => takeOver(chosen, during),
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

const clientOf = ({ variant, family, program, version }: IptablesTool): IptablesClient =>
  new IptablesClient(variant, family, { program, ...(version === undefined ? {} : { version }) })

const readPackets = async (
  nfacct: ReturnType<typeof openNfacct>,
  signal: AbortSignal,
): Promise<RulePackets | undefined> => {
  const dropped = await nfacct.read(invalidDropped, signal)
  const accepted = await nfacct.read(localhostAccepted, signal)
  if (dropped === undefined || accepted === undefined) return undefined
  return { invalidDropped: dropped.packets, localhostAccepted: accepted.packets }
}

const takeOver = async ({ variant, tools }: ChosenTools, signal: AbortSignal): Promise<Handover> => {
  const errors: Error[] = []
  const tables = await removeOwnTables(signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    errors.push(error)
    return []
  })
  const report = await removeLeftovers(signal, { inUse: { variant, families: [...tools.keys()] } })
  return {
    lines: [...describeTakeover(report), ...describeOwnTables(tables)],
    errors: [...errors, ...report.errors],
  }
}
