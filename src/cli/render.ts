import type { Capabilities } from '../backends/backend.ts'
import { iptablesCapabilities } from '../backends/iptables/backend.ts'
import { renderIptables } from '../backends/iptables/text.ts'
import { ipvsCapabilities } from '../backends/ipvs/backend.ts'
import { renderIpvs } from '../backends/ipvs/text.ts'
import { nftCapabilities } from '../backends/nftables/backend.ts'
import { renderTable } from '../backends/nftables/text.ts'
import { userspaceCapabilities } from '../backends/userspace/backend.ts'
import { renderUserspace } from '../backends/userspace/text.ts'
import type { Config } from '../config/config.ts'
import type { ServiceState } from '../model/desired.ts'
import type { HostState } from '../model/host.ts'
import { families, type IP } from '../model/ip.ts'
import { objectName } from '../model/problem.ts'
import { systemClock } from '../sync/clock.ts'
import { noopObserver, type SyncObserver } from '../sync/events.ts'
import { TrackedDesired } from '../sync/tracked-desired.ts'
import { TrackingSink } from '../sync/tracking-sink.ts'
import { Tracker } from '../track/tracker.ts'
import { waitForCaches } from './caches.ts'
import { FatalError } from './fatal.ts'
import { type IptablesFacts, iptablesSettings } from './iptables-settings.ts'
import { ipvsSettings } from './ipvs-settings.ts'
import { hostSettings, nodeNameOf } from './settings.ts'
import { createSource } from './sources.ts'

export interface Output {
  /** What was asked for. */
  readonly out: (text: string) => void
  /** One line about something that is wrong. */
  readonly warn: (line: string) => void
}

/**
 * `weir render`: what would be programmed for folders of manifests, or for the cluster as it is now, as text. Looks at no
 * kernel and needs no privilege.
 *
 * @throws FatalError, ApiError or SourceError when the objects cannot be had
 */
export const render = async (config: Config, output: Output, signal: AbortSignal): Promise<void> => {
  const tracker = new Tracker({ startedAt: systemClock.now() })
  await fill(tracker, config, output, signal)
  signal.throwIfAborted()
  const { capabilities, text } = renderers[config.mode]
  const desired = new TrackedDesired({
    tracker,
    settings: hostSettings(config),
    nodeName: nodeNameOf(config),
    supportedSchedulers: capabilities.schedulers,
    // The node's interfaces are not those of the machine that renders: what the Node object lists stands for them.
    interfaceAddresses: (): readonly IP[] => tracker.lastNode()?.addresses ?? [],
  })
  for (const family of families) {
    if (config.renderFamily !== undefined && config.renderFamily !== family) continue
    const states = [...desired.keys()].sort().flatMap((key) => desired.states(family, key))
    output.out(text(desired.host(family), states, config))
  }
}

interface Renderer {
  readonly capabilities: Capabilities
  text(host: HostState, states: readonly ServiceState[], config: Config): string
}

const renderers: Readonly<Record<Config['mode'], Renderer>> = {
  nftables: { capabilities: nftCapabilities, text: (host, states) => renderTable(host, states) },
  iptables: {
    capabilities: iptablesCapabilities,
    text: (host, states, config) =>
      renderIptables(host, states, iptablesSettings(config, host.family, usualNode(config))),
  },
  ipvs: {
    capabilities: ipvsCapabilities,
    text: (host, states, config) =>
      renderIpvs(host, states, ipvsSettings(config, host.family, usualNode(config)), {
        device: host.family === (config.renderFamily ?? families[0]),
      }),
  },
  userspace: {
    capabilities: userspaceCapabilities,
    text: (host, states, { userspace: { redirect, portRange } }) =>
      renderUserspace(host, states, redirect === 'never' ? { kind: 'listen', portRange } : { kind: 'redirect' }),
  },
}

/** In place of a look at a kernel: current tools, and no nfacct, as most distributions have it. */
const usualNode = ({ conntrack }: Config): IptablesFacts => ({
  dropInvalid: !conntrack.tcpBeLiberal,
  randomFully: true,
  nfacct: false,
  ipset: true,
})

const fill = async (tracker: Tracker, config: Config, { warn }: Output, signal: AbortSignal): Promise<void> => {
  if (config.manifests.length === 0 && !namesCluster(config))
    throw new FatalError('render needs objects: say where with --manifests DIR, --kubeconfig FILE or --master URL')
  const observer: SyncObserver = {
    ...noopObserver,
    problem: ({ problem: { object, field, reason } }) => warn(`${objectName(object)}: ${field}: ${reason}`),
  }
  const sink = new TrackingSink({ tracker, observer, changed: () => {} })
  const source = createSource({
    config: { ...config, once: true },
    nodeName: nodeNameOf(config),
    metrics: { connected: () => {}, disconnected: () => {}, reconnected: () => {}, relisted: () => {} },
    logger: { info: () => {}, warn: (fields, text) => warn(`${text}: ${fields.err}`) },
    now: systemClock.monotonic,
  })
  const filled = new AbortController()
  const running = source.run(sink, AbortSignal.any([signal, filled.signal]))
  try {
    await waitForCaches({ sink, source, running, once: true, clock: systemClock }, signal)
  } finally {
    filled.abort()
  }
  await running
}

const namesCluster = ({ client: { kubeconfig, master } }: Config): boolean =>
  kubeconfig !== '' || master !== '' || process.env['KUBERNETES_SERVICE_HOST'] !== undefined
