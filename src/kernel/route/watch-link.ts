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
  let wentDown = false
  let ended = false
  let isScheduled = false

  const tell = (): void => {
    const ips = gone
    const isDown = wentDown && link?.up === false
    const hasEnded = ended
    forget()
    if (signal.aborted) return
    // The end says all.
    if (hasEnded) onLoss({ kind: 'link' })
    else {
      if (ips.length > 0) onLoss({ kind: 'addresses', ips })
      if (isDown) onLoss({ kind: 'down' })
    }
  }
  const forget = (): void => {
    gone = []
    wentDown = false
    ended = false
    isScheduled = false
  }
  /** All that waits is read in one go, and told after it. */
  const schedule = (): void => {
    if (!isScheduled) queueMicrotask(tell)
    isScheduled = true
  }

  const addressGone = (message: MessageReader): void => {
    if (readIndex(message) !== link?.index) return
    const address = readAddress(message)
    if (address === undefined) return
    gone.push(address.ip)
    schedule()
  }
  const linkChanged = (now: Link, isThere: boolean): void => {
    const before = link
    if (isThere && now.name === name) {
      link = now
      wentDown ||= before?.index === now.index && before.up && !now.up
    } else if (now.index === before?.index) {
      link = undefined
      ended = true
    }
    if (wentDown || ended) schedule()
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
        forget()
        try {
          link = find()
        } finally {
          onLoss({ kind: 'unknown' })
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
