import { constants } from 'node:os'
import type { Family } from '../../model/ip.ts'
import { Connection } from '../netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/constants.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { openRoute } from './open-route.ts'
import type { RouteEntry, RouteRefusal, Routes } from './route-entry.ts'
import { isWritable, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, readRoute, routeBody, tableBody } from './rtmsg.ts'

/** {@link Routes} over rtnetlink. A socket belongs to the network namespace it was opened in. */
export class NetlinkRoutes implements Routes {
  async list(
    { family, table }: { readonly family: Family; readonly table: number },
    signal: AbortSignal,
  ): Promise<readonly RouteEntry[]> {
    const found: RouteEntry[] = []
    try {
      await dump(
        openRoute,
        { op: `list ${family} routes of table ${table}`, type: RTM_GETROUTE, body: tableBody(family, table) },
        (message) => {
          const entry = message.type === RTM_NEWROUTE ? readRoute(message) : undefined
          // Kernels that do not filter answer with all.
          if (entry?.table === table) found.push(entry)
        },
        signal,
        { restart: () => found.splice(0) },
      )
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'notFound') throw error
    }
    return found
  }

  async change(
    { add, remove }: { readonly add: readonly RouteEntry[]; readonly remove: readonly RouteEntry[] },
    signal: AbortSignal,
  ): Promise<readonly RouteRefusal[]> {
    signal.throwIfAborted()
    const refusals: RouteRefusal[] = []
    const entries: RouteEntry[] = []
    const requests: Request[] = []
    const collect = (list: readonly RouteEntry[], verb: string, type: number, flags: number): void => {
      for (const entry of list) {
        const op = `${verb} route ${entry.destination}`
        if (isWritable(entry)) {
          entries.push(entry)
          requests.push({ op, type, flags, body: routeBody(type, entry) })
        } else refusals.push({ entry, error: notWritable(op) })
      }
    }
    collect(remove, 'remove', RTM_DELROUTE, 0)
    const removals = requests.length
    collect(add, 'add', RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)
    if (requests.length === 0) return refusals
    const connection = new Connection(openRoute())
    try {
      for (const { index, error } of await connection.exchange(requests, signal)) {
        const entry = entries[index]
        const isGone = index < removals && error.errno === constants.errno.ESRCH
        if (entry !== undefined && !isGone) refusals.push({ entry, error })
      }
    } finally {
      connection.close()
    }
    return refusals
  }
}

export const notWritable = (op: string): KernelError =>
  new KernelError({ code: 'invalid', op, detail: 'a kind of route that is only read' })
