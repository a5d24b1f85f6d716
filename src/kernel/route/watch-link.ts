import type { IP } from '../../model/ip.ts'
import { protocols } from '../netlink/constants.ts'
import { subscribe } from '../netlink/subscription.ts'
import type { MessageReader } from '../netlink/wire.ts'
import type { Link, LinkLoss } from './interface-address.ts'
import {
  eventBuffer,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
  readAddress,
  readIndex,
  readLink,
} from './rtnetlink.ts'

/** `find` looks the interface up; it may throw. */
export const watchLink = (
  name: string,
  find: () => Link | undefined,
  onLoss: (loss: LinkLoss) => void,
  signal: AbortSignal,
): void => {
  let link: Link | undefined
  let gone: IP[] = []

  const tellAddresses = (): void => {
    const ips = gone
    gone = []
    if (ips.length > 0 && !signal.aborted) onLoss({ kind: 'addresses', ips })
  }
  const tell = (loss: LinkLoss): void => {
    tellAddresses()
    onLoss(loss)
  }
  const addressGone = (message: MessageReader): void => {
    if (readIndex(message) !== link?.index) return
    const address = readAddress(message)
    if (address === undefined) return
    // All that waits is read in one go: those that follow are told with it.
    if (gone.length === 0) queueMicrotask(tellAddresses)
    gone.push(address.ip)
  }
  const linkChanged = (now: Link, isThere: boolean): void => {
    const before = link
    if (isThere && now.name === name) {
      link = now
      if (before?.index === now.index && before.up && !now.up) tell({ kind: 'down' })
    } else if (now.index === before?.index) {
      link = undefined
      tell({ kind: 'link' })
    }
  }

  const subscription = subscribe(
    {
      protocol: protocols.route,
      groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
      receiveBuffer: eventBuffer,
    },
    {
      onMessage: (message) => {
        if (message.type === RTM_DELADDR) return addressGone(message)
        if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return
        const now = readLink(message)
        if (now !== undefined) linkChanged(now, message.type === RTM_NEWLINK)
      },
      onLost: () => {
        try {
          link = find()
        } finally {
          tell({ kind: 'unknown' })
        }
      },
    },
    signal,
  )
  try {
    // What happens meanwhile waits in the subscription.
    link = find()
  } catch (error) {
    subscription.close()
    throw error
  }
}
