import { type Cidr, cidrOf, parseCidr } from '../../model/cidr.ts'
import { type IP, parseIP } from '../../model/ip.ts'
import { fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'

const noIPs: readonly IP[] = Object.freeze([])
const noCidrs: readonly Cidr[] = Object.freeze([])

/** `spec.externalIPs`; none where the cluster forbids them. Blank entries are passed over in silence, as in kube-proxy. */
export const readExternalIPs = (spec: Place, value: unknown, allowed: boolean): readonly IP[] => {
  const list = spec.list('externalIPs', value)
  if (list.length === 0 || !allowed) return noIPs
  const found = new Set<IP>()
  list.forEach((item, i) => {
    if (typeof item === 'string' && item.trim() === '') return
    const ip = spec.address(`externalIPs[${i}]`, item)
    if (ip !== undefined) found.add(ip)
  })
  return [...found]
}

/** The ingress addresses that a node answers for itself: ipMode VIP or absent (KEP-1860). Host names are not ours. */
export const readLoadBalancerIPs = (root: Place, status: unknown): readonly IP[] => {
  const balancer = root.map<'ingress'>('status.loadBalancer', root.map<'loadBalancer'>('status', status)?.loadBalancer)
  const list = root.list('status.loadBalancer.ingress', balancer?.ingress)
  if (list.length === 0) return noIPs
  const found = new Set<IP>()
  list.forEach((item, i) => {
    const place = root.item('status.loadBalancer.ingress', i)
    const ingress = fields<'ip' | 'ipMode'>(item)
    if (ingress === undefined) place.problem('', `${quote(item)} is not an object, so it is left out`)
    else if (!isUnset(ingress.ip) && ingress.ip !== '' && isOurs(place, ingress.ipMode)) {
      const ip = place.address('ip', ingress.ip)
      if (ip !== undefined) found.add(ip)
    }
  })
  return [...found]
}

const isOurs = (place: Place, mode: unknown): boolean => {
  if (isUnset(mode) || mode === 'VIP') return true
  if (mode !== 'Proxy') place.problem('ipMode', `${quote(mode)} is neither VIP nor Proxy, so the address is left out`)
  return false
}

/** No packet that crosses a network comes from these. */
const nobody: readonly Cidr[] = ['0.0.0.0', '::'].flatMap((text) => {
  const ip = parseIP(text)
  return ip === undefined ? [] : [cidrOf(ip, text === '::' ? 128 : 32)]
})

/**
 * `spec.loadBalancerSourceRanges` of both families, /0 included. When ranges were asked for and none can be read, the
 * answer is a range that holds nobody: an empty list would open to everyone what was meant to be closed.
 */
export const readSourceRanges = (spec: Place, value: unknown): readonly Cidr[] => {
  const list = spec.list('loadBalancerSourceRanges', value)
  if (list.length === 0) return isUnset(value) || Array.isArray(value) ? noCidrs : nobody
  const found = new Set<Cidr>()
  let blank = 0
  list.forEach((item, i) => {
    if (typeof item === 'string' && item.trim() === '') {
      blank++
      return
    }
    const cidr = typeof item === 'string' ? parseCidr(item.trim()) : undefined
    if (cidr !== undefined) found.add(cidr)
    else
      spec.problem(
        `loadBalancerSourceRanges[${i}]`,
        `${quote(item)} is not a network such as 192.0.2.0/24, so it lets nobody in`,
      )
  })
  if (found.size > 0) return [...found]
  return blank === list.length ? noCidrs : nobody
}
