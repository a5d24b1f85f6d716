import type { Ipvs, IpvsTimeouts, VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import { isAtLeast, readKernelVersion } from '../../kernel/sysctl/kernel-version.ts'
import { ensureInteger, type Sysctl } from '../../kernel/sysctl/sysctl.ts'
import { parseIP } from '../../model/ip.ts'

export interface PrepareOptions {
  readonly ipvs: Ipvs
  readonly sysctl: Sysctl
  /** That of the configuration, as the kernel names it. */
  readonly scheduler: string
  readonly strictArp: boolean
  /** Seconds; 0 leaves one alone. */
  readonly timeouts: IpvsTimeouts
  /** Hears why timeouts could not be set. Nothing depends on them. */
  readonly onError: (error: unknown) => void
}

const always = {
  'net/ipv4/vs/conntrack': 1,
  'net/ipv4/vs/expire_nodest_conn': 1,
  'net/ipv4/vs/expire_quiescent_template': 1,
  'net/ipv4/ip_forward': 1,
} as const
const reuseMode = 'net/ipv4/vs/conn_reuse_mode'
const strict = { 'net/ipv4/conf/all/arp_ignore': 1, 'net/ipv4/conf/all/arp_announce': 2 } as const

/**
 * Sets up what kube-proxy does at start in mode ipvs, both families alike. What is right already is not written. Idempotent;
 * nothing of it is ever taken back. Returns what holds then, by name of the sysctl.
 *
 * @throws KernelError: `unsupported` without IPVS, `notFound` where the kernel lacks the scheduler; SysctlError
 */
export const prepareIpvs = async (
  { ipvs, sysctl, scheduler, strictArp, timeouts, onError }: PrepareOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> => {
  // Loads the module, without which its sysctls are not there.
  const present = await ipvs.timeouts(signal)
  await tryScheduler(ipvs, scheduler, signal)
  const values = new Map<string, number>(Object.entries({ ...always, ...(strictArp ? strict : {}) }))
  // With 1, as it used to be by default, connections that reuse a port too soon lose a second. Fixed in Linux 5.9.
  if (!isAtLeast(await readKernelVersion(sysctl, signal), 5, 9)) values.set(reuseMode, 0)
  for (const [name, value] of values) await ensureInteger(sysctl, name, value, signal)
  const differs = (['tcp', 'tcpFin', 'udp'] as const).some(
    (name) => timeouts[name] > 0 && timeouts[name] !== present[name],
  )
  if (differs)
    try {
      await ipvs.setTimeouts(timeouts, signal)
    } catch (error) {
      signal.throwIfAborted()
      onError(error)
    }
  return values
}

/** In TEST-NET-2, and no address of a host. */
const probeAddress = parseIP('198.51.100.0')
const firstProbePort = 20_000

/** A scheduler that is in use is there; another is tried with a virtual server that nobody can reach. */
const tryScheduler = async (ipvs: Ipvs, scheduler: string, signal: AbortSignal): Promise<void> => {
  const servers = await ipvs.virtualServers(signal)
  if (probeAddress === undefined || servers.some((server) => server.scheduler === scheduler)) return
  const taken = new Set(servers.flatMap(({ id }) => (id.kind === 'address' && id.ip === probeAddress ? [id.port] : [])))
  let port = firstProbePort
  while (taken.has(port)) port++
  const id = { kind: 'address', protocol: 'TCP', ip: probeAddress, port } as const
  const server: VirtualServer = { id, scheduler, flags: [], persistenceSeconds: 0, persistencePrefix: 32 }
  // Both at once, so that nothing stays behind however this process ends.
  const refusals = await ipvs.apply(
    [
      { kind: 'addVirtualServer', server },
      { kind: 'deleteVirtualServer', id },
    ],
    signal,
  )
  const error = refusals.find(({ index }) => index === 0)?.error
  if (error === undefined) return
  const detail = `the kernel has no scheduler "${scheduler}" (module ip_vs_${scheduler})`
  throw error.code === 'notFound'
    ? new KernelError({ code: 'notFound', op: 'try the scheduler', detail, cause: error })
    : error
}
