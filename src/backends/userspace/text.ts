import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { fateOf, listNames, serverId, targetsOf } from './entrances.ts'
import type { VirtualServerSpec } from './forward/forwarder.ts'
import { LoopbackPorts } from './listen/loopback-ports.ts'
import { listening, planChange, redirecting } from './plan.ts'
import { elementsByService, hostPart } from './redirect/redirect-writer.ts'
import { tableScript } from './redirect/script.ts'
import { WrittenTable } from './redirect/written.ts'
import type { ServiceLayout } from './service-layout.ts'
import type { Reach } from './settings.ts'

/** In place of the ports that the kernel gives sockets. */
const firstPort = 32_768

/**
 * What would be had on a clean node: the sockets with what is behind them, and the table that leads to them where there
 * is one. `nft -f` takes all of it, because the rest are comments.
 */
export const renderUserspace = (host: HostState, states: readonly ServiceState[], reach: Reach): string => {
  const layOut =
    reach.kind === 'listen' ? listening(new LoopbackPorts(reach.portRange), () => []) : redirecting(() => 0)
  const { services } = planChange({ kind: 'full', host, services: states, rewrite: true }, undefined, layOut)
  const layouts = [...services.values()].filter((layout) => layout !== undefined)
  const sockets = new Map<string, string>()
  let free = firstPort
  for (const { listeners } of layouts)
    for (const { spec } of listeners) sockets.set(spec.id, `${spec.address} . ${spec.port === 0 ? free++ : spec.port}`)
  const lines = [`# weir, mode userspace, ${host.family}`, ...layouts.flatMap((layout) => layoutLines(layout, sockets))]
  if (reach.kind === 'listen') return `${lines.join('\n')}\n`
  const table = new WrittenTable()
  table.accept(elementsByService(services, (listener) => sockets.get(listener)))
  const note = `# Ports from ${firstPort} stand for those that the kernel gives.`
  return `${[...lines, note].join('\n')}\n${tableScript(host, [...hostPart(host), ...table.elements()])}`
}

const layoutLines = (
  { state, servers, listeners }: ServiceLayout,
  sockets: ReadonlyMap<string, string>,
): readonly string[] => {
  const { id } = state
  if (state.protocol === 'SCTP') return [`# ${id}: SCTP is not forwarded`]
  const heading = `# ${id}${state.scheduling.scheduler === 'random' ? '' : `, ${state.scheduling.scheduler}`}`
  const where = listeners.map(({ spec }) => {
    const near = spec.near === undefined ? '' : `, for clients on the node: ${spec.near.server}`
    return `#   socket ${(sockets.get(spec.id) ?? '').replace(' . ', ' port ')}: ${spec.server}${near}`
  })
  return [heading, ...where, ...servers.map((server) => serverLine(state, server))]
}

const serverLine = (state: ServiceState, { id }: VirtualServerSpec): string => {
  const list = listNames.find((name) => serverId(state, name) === id) ?? 'cluster'
  const targets = targetsOf(state, list).map(({ ip, port, weight }) => {
    const address = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
    return weight === 1 ? address : `${address} weight ${weight}`
  })
  return `#   ${id}: ${targets.length > 0 ? targets.join(', ') : fateOf(state, list)}`
}
