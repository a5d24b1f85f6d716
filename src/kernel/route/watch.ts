import { protocols } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import { sameAddresses } from './address-list.ts'
import type { InterfaceAddress } from './interface-address.ts'
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from './rtnetlink.ts'

type List = (signal: AbortSignal) => Promise<readonly InterfaceAddress[]>

/** Milliseconds between two looks at the socket. */
const period = 50
/** Milliseconds until a list that could not be read is tried again. */
const retry = 1_000

/**
 * Reads the list anew whenever the kernel says that something changed. An event's own content is not used, so that lost
 * events (`overflow`) need no treatment of their own.
 */
export const watch = async (
  list: List,
  onChange: (addresses: readonly InterfaceAddress[]) => void,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<readonly InterfaceAddress[]> => {
  signal.throwIfAborted()
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
  // Subscribed before the first list is read: what changes during that is seen at the first tick.
  const transport = openTransport({ protocol: protocols.route, groups, receiveBuffer: 1 << 20 })
  let known: readonly InterfaceAddress[]
  try {
    known = await list(signal)
  } catch (error) {
    transport.close()
    throw error
  }
  let timer = setTimeout(() => void tick(), period)
  let stale = false
  const tick = async (): Promise<void> => {
    let delay = period
    try {
      if (drain(transport)) stale = true
      if (stale) {
        const now = await list(signal)
        stale = false
        if (signal.aborted) return
        const changed = !sameAddresses(known, now)
        known = now
        if (changed) onChange(now)
      }
    } catch (error) {
      if (signal.aborted) return
      delay = retry
      onError(error)
    }
    if (!signal.aborted) timer = setTimeout(() => void tick(), delay)
  }
  const stop = (): void => {
    clearTimeout(timer)
    transport.close()
  }
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return known
}

/** Reads away all waiting events; whether there were any. */
const drain = (transport: Transport): boolean => {
  let any = false
  for (;;) {
    try {
      if (transport.receive() === undefined) return any
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'overflow') throw error
    }
    any = true
  }
}
