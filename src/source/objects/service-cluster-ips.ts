import { familyOf, type IP } from '../../model/ip.ts'
import { type Fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'

type ClusterIPFields = Fields<'clusterIP' | 'clusterIPs' | 'ipFamilies'>

const first = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined)

/** `None` or empty, on purpose: the Service is for DNS only. An address that is simply not there is another matter. */
export const isHeadless = (spec: ClusterIPFields): boolean => {
  const value = spec.clusterIP ?? first(spec.clusterIPs)
  return value === 'None' || value === ''
}

/**
 * The cluster IP of each family: `clusterIPs[i]` belongs to `ipFamilies[i]`; without `ipFamilies` only `clusterIP`
 * counts, as in kube-proxy. Where a manifest has only the one field or only the other, it stands for both, which is how
 * an API server would have completed it.
 */
export const readClusterIPs = (place: Place, spec: ClusterIPFields): readonly IP[] => {
  const named = place.list('ipFamilies', spec.ipFamilies)
  const listed = place.list('clusterIPs', spec.clusterIPs)
  if (isUnset(spec.clusterIP) && listed.length === 0) {
    place.problem('clusterIP', 'is missing (an API server would choose one), so the Service has no cluster IP')
    return []
  }
  const useOne = listed.length === 0 || (named.length === 0 && !isUnset(spec.clusterIP))
  const found: IP[] = []
  if (useOne) take(place, found, 'clusterIP', spec.clusterIP, named[0])
  for (let i = useOne ? 1 : 0; i < listed.length; i++) {
    const field = `clusterIPs[${i}]`
    if (useOne || (named.length > 0 && i >= named.length))
      place.problem(field, `${quote(listed[i])} has no entry in spec.ipFamilies, so it is left out`)
    else take(place, found, field, listed[i], named[i])
  }
  return found
}

const take = (place: Place, found: IP[], field: string, value: unknown, named: unknown): void => {
  const ip = place.address(field, value)
  if (ip === undefined) return
  const family = familyOf(ip)
  if (named !== undefined && named !== family)
    place.problem(field, `${quote(value)} is not of the family ${quote(named)} in spec.ipFamilies, so it is left out`)
  else if (found.some((other) => familyOf(other) === family))
    place.problem(field, `${quote(value)} is a second ${family} address, so it is left out`)
  else found.push(ip)
}
