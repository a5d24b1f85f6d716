import type { Family } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { MemberShape } from './member-value.ts'

/** linux/netfilter.h */
const NFPROTO_UNSPEC = 0
export const NFPROTO_IPV4 = 2
const NFPROTO_IPV6 = 10

export const familyNumber = ({ type, family }: MemberShape): number => {
  if (type === 'bitmap:port') return NFPROTO_UNSPEC
  return family === 'IPv4' ? NFPROTO_IPV4 : NFPROTO_IPV6
}

export const familyOfNumber = (number: number): Family | undefined => {
  switch (number) {
    case NFPROTO_UNSPEC:
      return undefined
    case NFPROTO_IPV4:
      return 'IPv4'
    case NFPROTO_IPV6:
      return 'IPv6'
    default:
      throw malformed(`set of family ${number}`)
  }
}
