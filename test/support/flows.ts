/** Entries of conntrack for tests, by texts `address:port` (`[address]:port`). */
import { type Flow, type FlowEnd, flowEnd } from '../../src/model/flow.ts'
import { type Family, familyOf, parseIP } from '../../src/model/ip.ts'
import type { Protocol } from '../../src/model/protocol.ts'

export const end = (text: string): FlowEnd => {
  const [, address = '', port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(text) ?? []
  const ip = parseIP(address)
  if (ip === undefined) throw new TypeError(`"${text}" is no address and port`)
  return flowEnd(ip, Number(port))
}

const familyIn = (text: string): Family => {
  const ip = parseIP(text.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''))
  if (ip === undefined) throw new TypeError(`"${text}" is no address and port`)
  return familyOf(ip)
}

let lastId = 0

/** A flow to `destination` that leads to `target`: to `destination` itself unless it is given. */
export const flow = (
  destination: string,
  target = destination,
  { protocol = 'UDP', zone = 0 }: { readonly protocol?: Protocol; readonly zone?: number } = {},
): Flow => {
  const family = familyIn(destination)
  lastId++
  return {
    family,
    protocol,
    source: end(`${family === 'IPv4' ? '198.51.100.7' : '[2001:db8:1::7]'}:${10_000 + lastId}`),
    destination: end(destination),
    target: end(target),
    zone,
    id: lastId,
  }
}

/** A flow that is not translated and that `source` began. */
export const flowFrom = (source: string, destination: string, options: Parameters<typeof flow>[2] = {}): Flow => ({
  ...flow(destination, destination, options),
  source: end(source),
})
