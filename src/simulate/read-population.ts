import { type Cidr, parseCidr } from '../model/cidr.ts'
import type { Field } from './field.ts'
import { limits } from './limits.ts'
import { addressesIn } from './population.ts'
import type { Population } from './scenario.ts'

interface Usual {
  readonly number: number
  readonly skew: number
  readonly addresses: string
}

/** `number`, `skew` and `addresses`; what is not given is as usual. */
export const readPopulation = (field: Field | undefined, usual: Usual): Population => {
  const map = field?.mapping(['number', 'skew', 'addresses'])
  const number = map?.get('number')?.whole(limits.population) ?? usual.number
  const written = map?.get('addresses')
  const addresses = (written === undefined ? undefined : readCidr(written)) ?? trusted(usual.addresses)
  const room = addressesIn(addresses)
  if (number > room) (written ?? map?.get('number'))?.wrong(`${addresses} has ${room} addresses, for ${number}`)
  return { number, skew: map?.get('skew')?.number(limits.skew) ?? usual.skew, addresses }
}

const readCidr = (field: Field): Cidr | undefined => {
  const text = field.text()
  if (text === undefined) return undefined
  return parseCidr(text) ?? field.wrong(`must be a network such as 10.0.0.0/8 or 2001:db8::/64, not ${field.shown()}`)
}

const trusted = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new RangeError(`${text} is no network`)
  return cidr
}
