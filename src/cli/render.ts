import { nftCapabilities } from '../backends/nftables/backend.ts'
import { renderTable } from '../backends/nftables/text.ts'
import type { Config } from '../config/config.ts'
import { families, type IP } from '../model/ip.ts'
import { objectName } from '../model/problem.ts'
import { readOnce } from '../source/files/read-once.ts'
import { TrackedDesired } from '../sync/tracked-desired.ts'
import { Tracker } from '../track/tracker.ts'
import { FatalError } from './fatal.ts'
import { hostSettings, nodeNameOf } from './settings.ts'

export interface Output {
  /** What was asked for. */
  readonly out: (text: string) => void
  /** One line about something that is wrong. */
  readonly warn: (line: string) => void
}

/** `weir render`: what would be programmed for a folder of manifests, as text. Looks at no kernel and needs no privilege. */
export const render = async (config: Config, { out, warn }: Output, signal: AbortSignal): Promise<void> => {
  if (config.manifests.length === 0) throw new FatalError('render reads manifests: say where with --manifests DIR')
  const nodeName = nodeNameOf(config)
  const options = { nodeName, proxyName: config.serviceProxyName, allowExternalIPs: config.allowExternalIPs }
  const tracker = new Tracker({ startedAt: Date.now() })
  const { changes, problems } = await readOnce(config.manifests, options, signal)
  for (const { object, field, reason } of [...problems, ...tracker.apply(changes)]) {
    warn(`${objectName(object)}: ${field}: ${reason}`)
  }
  const desired = new TrackedDesired({
    tracker,
    settings: hostSettings(config),
    nodeName,
    supportedSchedulers: nftCapabilities.schedulers,
    // The node's interfaces are not those of the machine that renders: what the Node object lists stands for them.
    interfaceAddresses: (): readonly IP[] => tracker.lastNode()?.addresses ?? [],
  })
  for (const family of families) {
    if (config.renderFamily !== undefined && config.renderFamily !== family) continue
    const states = [...desired.keys()].sort().flatMap((key) => desired.states(family, key))
    out(renderTable(desired.host(family), states))
  }
}
