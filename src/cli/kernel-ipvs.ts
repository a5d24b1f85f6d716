import type { Logger } from 'pino'
import { IpvsBackend } from '../backends/ipvs/backend.ts'
import { ProblemReports } from '../backends/ipvs/problem-reports.ts'
import { setSchema } from '../backends/ipvs/schema.ts'
import { ipvsDevice } from '../backends/ipvs/settings.ts'
import { concernsUs } from '../backends/kube-chains.ts'
import type { Config } from '../config/config.ts'
import { openIpset } from '../kernel/ipset/netlink-ipset.ts'
import { NetlinkIpvs } from '../kernel/ipvs/netlink-ipvs.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import type { Route } from '../kernel/route/interface-address.ts'
import { NetlinkRoute } from '../kernel/route/netlink-route.ts'
import type { ServerCounts } from '../observe/metrics/ipvs-metrics.ts'
import { systemClock } from '../sync/clock.ts'
import { describe, FatalError } from './fatal.ts'
import { chooseTools } from './iptables-tools.ts'
import { ipvsSettings } from './ipvs-settings.ts'
import { clientOf, openWatch, takeOverBeside } from './kernel-iptables.ts'
import { setsObstacle } from './kernel-sets.ts'
import type { Kernel, KernelListener } from './open-kernel.ts'
import { prepareIpvsNode } from './prepare-ipvs.ts'

/**
 * Makes sure of everything that mode ipvs needs, sets up the node for it, and makes a backend for each family.
 *
 * @throws FatalError with what is missing
 */
export const openIpvs = async (
  config: Config,
  { drift, problem }: KernelListener,
  logger: Logger,
  signal: AbortSignal,
): Promise<Kernel> => {
  const ipvs = new NetlinkIpvs()
  const ipset = openIpset()
  const route = new NetlinkRoute()
  const open: { close(): void }[] = [ipvs, ipset]
  // What was made last uses what was made before it.
  const close = (): void => {
    for (const part of open.reverse()) part.close()
  }
  try {
    const ready = await prepareIpvsNode(config, { ipvs, warn: (line) => logger.warn(line) }, signal)
    logger.info({ ipvs: ready }, 'IPVS is set up')
    const noSets = await setsObstacle(ipset, setKinds, signal)
    if (noSets !== undefined) throw new FatalError(`mode ipvs needs ipsets, which cannot be had: ${noSets}`)
    const { variant, tools } = await chooseTools(config.iptables.variant, logger, signal)
    await requireDevice(route, signal)
    const families = [...tools.keys()]
    logger.info({ variant, families }, 'Using iptables')
    const watch = openWatch({
      variant,
      families,
      onForeignWrite: (family) => drift(family, 'elementsChanged'),
      concerns: concernsUs,
    })
    open.push(watch)
    const problems = new ProblemReports(problem)
    const served = [...tools.values()].map((tool) => ({ tool, iptables: clientOf(tool, watch) }))
    const backends = served.map(({ tool: { family, features }, iptables }) => {
      const settings = ipvsSettings(config, family, features)
      const kernel = { ipvs, route, ipset, iptables, watch }
      return new IpvsBackend({
        ...{ family, settings, ...kernel, timers: systemClock, problems, onDrift: drift },
        onError: (error) => logger.warn({ err: describe(error) }, 'Could not look at the virtual servers'),
      })
    })
    open.push(...backends)
    const clients = served.map(({ iptables }) => iptables)
    return {
      backends,
      packets: undefined,
      traffic: undefined,
      servers: () => backends.map(countServers),
      takeOver: (during) => takeOverBeside('ipvs', variant, clients, during),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

const countServers = (backend: IpvsBackend): ServerCounts => {
  const counts = backend.counts()
  return {
    family: backend.family,
    virtualServers: counts.get('virtual-servers') ?? 0,
    realServers: counts.get('real-servers') ?? 0,
    draining: counts.get('draining-real-servers') ?? 0,
  }
}

const { roles, ref } = setSchema('IPv4')
const setKinds = roles.map(ref)

const deviceObstacles: Partial<Record<KernelError['code'], string>> = {
  exists: 'an interface of another kind has that name',
  unsupported: 'the kernel has no dummy devices (module dummy)',
}

/** Before anything is written: without the device no packet would come to a virtual server. */
const requireDevice = async (route: Route, signal: AbortSignal): Promise<void> => {
  try {
    await route.ensureDummy(ipvsDevice, signal)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    const why = deviceObstacles[error.code] ?? describe(error)
    throw new FatalError(`mode ipvs needs a dummy device ${ipvsDevice}, which cannot be had: ${why}`, error)
  }
}
