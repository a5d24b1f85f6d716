import { constants } from 'node:os'
import type { Ipvs, IpvsChange, VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import type { KernelError } from '../../kernel/netlink/error.ts'
import type { Rejection } from './error.ts'
import type { TaggedChange } from './server-diff.ts'

const { EEXIST, ENOENT, ESRCH, ENOMEM, ENOBUFS, EAGAIN, EINTR, EPERM, EACCES } = constants.errno
/** What says nothing about the change. */
const notItsFault: ReadonlySet<number | undefined> = new Set([ENOMEM, ENOBUFS, EAGAIN, EINTR, EPERM, EACCES])
const notAsExpected: ReadonlySet<number | undefined> = new Set([EEXIST, ENOENT, ESRCH])

/** What became of changes; all others are done. */
export interface Written {
  readonly rejections: readonly Rejection[]
  /** Schedulers that the kernel turned out to lack. Where they were asked for, the default is used. */
  readonly lacking: ReadonlySet<string>
  /** The kernel was not as it was taken to be. */
  readonly stale: KernelError | undefined
  /** Not the doing of any change. */
  readonly failure: KernelError | undefined
  /** Marks of virtual servers that were to be made, and that somebody else has made meanwhile. */
  readonly takenMarks: ReadonlySet<number>
}

/** `withDefault`: the same virtual server with the scheduler that stands in. */
export const writeServers = async (
  ipvs: Ipvs,
  changes: readonly TaggedChange[],
  withDefault: (server: VirtualServer) => VirtualServer,
  signal: AbortSignal,
): Promise<Written> => {
  const outcome = new Outcome(withDefault)
  const send = async (batch: readonly TaggedChange[]): Promise<void> => {
    const refusals = await ipvs.apply(
      batch.map(({ change }) => change),
      signal,
    )
    for (const { index, error } of refusals) {
      const refused = batch[index]
      if (refused !== undefined) outcome.refused(refused, error)
    }
  }
  await send(changes)
  await send(outcome.takeRetries())
  return outcome
}

class Outcome implements Written {
  readonly rejections: Rejection[] = []
  readonly lacking = new Set<string>()
  readonly takenMarks = new Set<number>()
  stale: KernelError | undefined
  failure: KernelError | undefined
  readonly #withDefault: (server: VirtualServer) => VirtualServer
  /** Virtual servers that are not there, so that their real servers were refused, too; `true`: they are tried again. */
  readonly #missing = new Map<string, boolean>()
  #retries: TaggedChange[] = []

  constructor(withDefault: (server: VirtualServer) => VirtualServer) {
    this.#withDefault = withDefault
  }

  takeRetries(): readonly TaggedChange[] {
    const retries = this.#retries
    this.#retries = []
    return retries
  }

  refused({ change, tag }: TaggedChange, error: KernelError): void {
    const { errno } = error
    const name = serverOf(change)
    const tried = this.#missing.get(name)
    if (notItsFault.has(errno)) this.failure ??= error
    else if ('id' in change && tried !== undefined) {
      if (tried) this.#retries.push({ change, tag })
    } else if (change.kind === 'deleteRealServer' || change.kind === 'deleteVirtualServer') {
      // What is gone is as it should be.
      if (!notAsExpected.has(errno)) this.#reject(tag, error)
    } else if (errno === ENOENT && !('id' in change)) this.#lacks(change, tag, error)
    else if (notAsExpected.has(errno)) {
      this.stale ??= error
      if (change.kind === 'addVirtualServer' && change.server.id.kind === 'mark')
        this.takenMarks.add(change.server.id.mark)
    } else {
      if (change.kind === 'addVirtualServer') this.#missing.set(name, false)
      this.#reject(tag, error)
    }
  }

  /** ENOENT to a virtual server is about its scheduler. */
  #lacks(
    change: Extract<IpvsChange, { readonly server: VirtualServer }>,
    tag: TaggedChange['tag'],
    error: KernelError,
  ): void {
    const server = this.#withDefault(change.server)
    const { scheduler } = change.server
    const isLast = server.scheduler === scheduler
    if (change.kind === 'addVirtualServer') this.#missing.set(serverOf(change), !isLast)
    if (isLast) {
      this.#reject(tag, error)
      return
    }
    this.lacking.add(scheduler)
    this.#retries.push({ change: { kind: change.kind, server }, tag })
  }

  #reject(tag: TaggedChange['tag'], error: KernelError): void {
    this.rejections.push({ tag, op: 'change virtual servers', error })
  }
}

const serverOf = (change: IpvsChange): string => virtualServerName('id' in change ? change.id : change.server.id)
