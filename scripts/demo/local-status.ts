import { z } from 'zod'
import type { Address } from './local-client.ts'
import type { Weir } from './weir.ts'

const ServicePort = z.object({
  name: z.string(),
  family: z.string(),
  nodePort: z.number().optional(),
  scheduler: z.string(),
  sockets: z.array(z.object({ address: z.string(), port: z.number().optional(), error: z.string().optional() })),
  lists: z.array(z.object({ endpoints: z.array(z.object({ ip: z.string(), draining: z.boolean() })) })),
})
const Status = z.object({ servicePorts: z.array(ServicePort) })
type ServicePort = z.infer<typeof ServicePort>

const startLimitMs = 15_000
const changeLimitMs = 5_000

/** What `weir status --json` shows, from the running process itself. */
export class LocalStatus {
  readonly #url: string

  constructor(metricsPort: number) {
    this.#url = `http://127.0.0.1:${metricsPort}/weir/status`
  }

  async servicePort(name: string): Promise<ServicePort | undefined> {
    const response = await fetch(this.#url, { signal: AbortSignal.timeout(2_000) })
    const { servicePorts } = Status.parse(await response.json())
    return servicePorts.find((port) => port.name === name && port.family === 'IPv4')
  }

  /** The service port once weir serves it; throws when weir ends before. */
  async first(name: string, weir: Weir): Promise<ServicePort> {
    const deadline = Date.now() + startLimitMs
    while (Date.now() < deadline) {
      const found = await this.servicePort(name).catch(() => undefined)
      if (found !== undefined) return found
      if (weir.ending !== undefined) throw new Error(`weir ended with ${weir.ending}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error(`weir did not serve ${name} within ${startLimitMs} ms`)
  }

  /** Milliseconds from `startedAt` (of `performance.now`) until weir forwards as `holds` wants it. */
  async until(name: string, startedAt: number, holds: (port: ServicePort) => boolean): Promise<number> {
    while (performance.now() - startedAt < changeLimitMs) {
      const found = await this.servicePort(name)
      if (found !== undefined && holds(found)) return performance.now() - startedAt
    }
    throw new Error(`a change of ${name} was not taken up within ${changeLimitMs} ms`)
  }
}

/** Where clients find the Service: its loopback port, and its NodePort if that could be had. */
export const addressesOf = ({
  sockets,
  nodePort,
}: ServicePort): { readonly cluster: Address; readonly node: Address | undefined } => {
  const open = sockets.flatMap(({ address, port }) => (port === undefined ? [] : [{ ip: address, port }]))
  const cluster = open.find(({ port }) => port !== nodePort)
  if (cluster === undefined) throw new Error('there is no loopback port')
  const node = open.find(({ port }) => port === nodePort)
  return { cluster, node: node === undefined ? undefined : { ip: '127.0.0.1', port: node.port } }
}

export const targetsOf = ({ lists: [list] }: ServicePort): readonly string[] =>
  (list?.endpoints ?? []).filter(({ draining }) => !draining).map(({ ip }) => ip)
