import { isMainThread } from 'node:worker_threads'
import type { WakingTransport } from './transport.ts'

/**
 * Wakes the event loop when a netlink socket has something to read, with neither a thread nor a timer: the kernel raises
 * a signal (fcntl(2), F_SETSIG and O_ASYNC). libuv cannot be given such a socket: it takes only TCP, UDP and Unix ones.
 *
 * SIGURG, because its default action is to be ignored: one that comes when nobody listens any more does no harm. It is
 * not one of the queued signals, so that a burst of events costs few of them. Neither the handler nor the sockets keep
 * the process alive.
 *
 * Node delivers signals to the main thread only. In a worker thread the sockets are looked at every 50 ms instead.
 */
const SIGURG = 23
const lookEveryMs = 50

/** Milliseconds of work after which other work of the process gets its turn. */
const slice = 4

/** Reads what waits, until `deadline` as performance.now() counts; whether something is left. Must not throw. */
export type Drain = (deadline: number) => boolean

const drains = new Set<Drain>()
/** Those whose socket may hold something; a signal does not tell which one it is about. */
const ready = new Set<Drain>()
let scheduled = false
let timer: NodeJS.Timeout | undefined

/** Has `drain` called soon after something arrives at `transport`, and once at first. Returns how to end that. */
export const wakeOn = (transport: WakingTransport, drain: Drain): (() => void) => {
  if (drains.size === 0) listen()
  drains.add(drain)
  const stop = (): void => {
    ready.delete(drain)
    if (drains.delete(drain) && drains.size === 0) unlisten()
  }
  try {
    if (isMainThread) transport.wakeBy(SIGURG)
  } catch (error) {
    stop()
    throw error
  }
  // What came before the switch raised no signal.
  ready.add(drain)
  schedule()
  return stop
}

const listen = (): void => {
  if (isMainThread) process.on('SIGURG', wake)
  else timer = setInterval(wake, lookEveryMs).unref()
}

const unlisten = (): void => {
  process.off('SIGURG', wake)
  clearInterval(timer)
}

const wake = (): void => {
  for (const drain of drains) ready.add(drain)
  schedule()
}

/** One turn for all the signals that the event loop finds waiting. */
const schedule = (): void => {
  if (scheduled || ready.size === 0) return
  scheduled = true
  setImmediate(turn)
}

const turn = (): void => {
  scheduled = false
  const deadline = performance.now() + slice
  const unfinished: Drain[] = []
  // The first ones to go on with in the next turn are those that found no time in this one.
  for (const drain of [...ready]) {
    if (performance.now() > deadline) break
    ready.delete(drain)
    if (drains.has(drain) && drain(deadline)) unfinished.push(drain)
  }
  for (const drain of unfinished) if (drains.has(drain)) ready.add(drain)
  schedule()
}
