import { execFileSync, spawn } from 'node:child_process'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import type { KernelError } from '../../src/kernel/netlink/error.ts'
import { type Subscription, type SubscriptionHandlers, subscribe } from '../../src/kernel/netlink/subscription.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import type { MessageReader } from '../../src/kernel/netlink/wire.ts'
import { ownNamespace } from '../support/namespace.ts'
import {
  addAddress,
  addressNumber,
  deleteAddress,
  numbers,
  RTM_NEWADDR,
  RTNLGRP_IPV4_IFADDR,
} from './netlink-requests.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const connection = new Connection(openTransport({ protocol: protocols.route }))
t.teardown(() => connection.close())

const add = (number: number): void => connection.request(addAddress(number), signal)
const remove = (number: number): void => connection.request(deleteAddress(number), signal)
const addAll = (all: readonly number[]): Promise<unknown> => connection.exchange(all.map(addAddress), signal)
const removeAll = (all: readonly number[]): Promise<unknown> => connection.exchange(all.map(deleteAddress), signal)

interface Heard extends SubscriptionHandlers {
  readonly subscription: Subscription
  /** Numbers of addresses that came, and of those that went. */
  readonly added: number[]
  readonly removed: number[]
  readonly losses: KernelError[]
}

type Tap = Pick<typeof t, 'teardown'>

const listen = (
  t: Tap,
  {
    receiveBuffer = 1 << 20,
    onMessage = (): void => {},
    abort = signal,
    groups = [RTNLGRP_IPV4_IFADDR],
  }: {
    receiveBuffer?: number
    onMessage?: (message: MessageReader) => void
    abort?: AbortSignal
    groups?: readonly number[]
  } = {},
): Heard => {
  const added: number[] = []
  const removed: number[] = []
  const losses: KernelError[] = []
  const handlers: SubscriptionHandlers = {
    onMessage(message) {
      const list = message.type === RTM_NEWADDR ? added : removed
      list.push(addressNumber(message))
      onMessage(message)
    },
    onLost: (error) => void losses.push(error),
  }
  const subscription = subscribe({ protocol: protocols.route, groups, receiveBuffer }, handlers, abort)
  t.teardown(() => subscription.close())
  return { ...handlers, subscription, added, removed, losses }
}

/** Turns of the event loop, without a timer. */
const turnsUntil = async (met: () => boolean, limitMs = 5000): Promise<boolean> => {
  const giveUp = performance.now() + limitMs
  while (!met() && performance.now() < giveUp) await nextTurn()
  return met()
}

t.test('an event wakes the loop: nothing else runs in it, no timer either', async (t) => {
  const woken = new Promise<void>((resolve) => {
    listen(t, { onMessage: () => resolve() })
  })
  // Subscribed and idle: the loop sleeps until the other process adds its address.
  const child = spawn('sh', ['-c', 'sleep 0.1; ip address add 10.0.0.77/32 dev lo; exec sleep 30'], { stdio: 'ignore' })
  t.teardown(() => child.kill())
  await woken
  t.equal(child.exitCode, null, 'it was not the end of the process that woke it')
})

t.test('what came before the event loop ran is not forgotten', async (t) => {
  const heard = listen(t)
  add(100)
  t.same(heard.added, [])
  t.ok(await turnsUntil(() => heard.added.includes(100)))
  remove(100)
  t.ok(await turnsUntil(() => heard.removed.includes(100)))
})

t.test('several subscriptions, each with its own groups', async (t) => {
  const links = listen(t)
  const none = listen(t, { groups: [] })
  add(101)
  t.ok(await turnsUntil(() => links.added.includes(101)))
  none.subscription.join(RTNLGRP_IPV4_IFADDR)
  links.subscription.leave(RTNLGRP_IPV4_IFADDR)
  remove(101)
  t.ok(await turnsUntil(() => none.removed.includes(101)))
  t.notOk(links.removed.includes(101))
})

t.test('poll delivers at once', async (t) => {
  const heard = listen(t)
  add(102)
  heard.subscription.poll()
  t.ok(heard.added.includes(102))
  remove(102)
})

t.test('a loss is told when everything that waited was read, and nothing is lost afterwards', async (t) => {
  const many = numbers(200, 1000)
  const heard = listen(t, { receiveBuffer: 4096 })
  await turnsUntil(() => false, 5)
  for (const number of many) add(number)
  t.same(heard.losses, [])
  t.ok(await turnsUntil(() => heard.losses.length > 0))
  t.match(heard.losses, [{ code: 'overflow', errno: 105 }])
  t.ok(heard.added.length > 0, 'what waited was delivered')
  t.ok(heard.added.length < many.length)
  add(103)
  t.ok(await turnsUntil(() => heard.added.includes(103)))
  for (const number of many) remove(number)
  remove(103)
  t.ok(await turnsUntil(() => heard.losses.length === 2), 'told again')
})

t.test('a handler that throws hears of it, and the others go on', async (t) => {
  const throwing = listen(t, {
    onMessage: () => {
      throw new Error('oops')
    },
  })
  const other = listen(t)
  add(104)
  t.ok(await turnsUntil(() => throwing.losses.length > 0 && other.added.includes(104)))
  t.match(throwing.losses[0], { code: 'io', detail: /oops/ })
  t.same(other.losses, [])
  remove(104)
})

t.test('a storm of events leaves room for other work', async (t) => {
  const storm = numbers(100, 1000)
  const busy = listen(t, {
    receiveBuffer: 8 << 20,
    onMessage: () => {
      for (const until = performance.now() + 0.5; performance.now() < until; );
    },
  })
  const other = listen(t)
  await addAll(storm)
  await sleep(1)
  t.ok(busy.added.length < storm.length, 'not everything was read yet')
  t.ok(await turnsUntil(() => other.added.includes(1099)))
  t.ok(busy.added.length < storm.length, 'nor does the other subscription wait for it')
  t.ok(await turnsUntil(() => busy.added.includes(1099)))
  t.same([...busy.losses, ...other.losses], [])
  await removeAll(storm)
})

t.test('ends by close or signal, inside a handler too', async (t) => {
  const stop = new AbortController()
  const closing: Heard = listen(t, { onMessage: () => closing.subscription.close() })
  const aborted = listen(t, { onMessage: () => stop.abort(), abort: stop.signal })
  const counter = listen(t)
  add(105)
  t.ok(await turnsUntil(() => counter.added.includes(105)))
  remove(105)
  t.ok(await turnsUntil(() => counter.removed.includes(105)))
  t.equal(closing.added.length, 1)
  t.equal(aborted.added.length, 1)
  closing.subscription.poll()
  t.throws(() => listen(t, { abort: stop.signal }), { name: 'AbortError' })
})

t.test('no listener for the signal stays behind, and the signal itself does no harm then', (t) => {
  const heard = listen(t)
  t.equal(process.listenerCount('SIGURG') > 0, true)
  heard.subscription.close()
  t.equal(process.listenerCount('SIGURG'), 0)
  process.kill(process.pid, 'SIGURG')
  t.end()
})

t.test('a group that there is none of', (t) => {
  t.throws(() => listen(t, { groups: [9999] }), { code: 'invalid' })
  t.end()
})

const program = (body: string): string => `
  import { subscribe } from ${JSON.stringify(new URL('../../src/kernel/netlink/subscription.js', import.meta.url).href)}
  ${body}
`

t.test('it does not keep a process alive', (t) => {
  const code = program(`
    subscribe({ protocol: 0, groups: [5] }, { onMessage() {}, onLost() {} }, new AbortController().signal)
  `)
  t.doesNotThrow(() => execFileSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 20_000 }))
  t.end()
})

t.test('in a worker thread, which gets no signals, too', async (t) => {
  const code = program(`
    import { parentPort } from 'node:worker_threads'
    const handlers = { onMessage: () => parentPort.postMessage('heard'), onLost() {} }
    subscribe({ protocol: 0, groups: [5] }, handlers, new AbortController().signal)
    parentPort.postMessage('ready')
    parentPort.on('message', () => {})
  `)
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  t.teardown(() => worker.terminate())
  const next = (): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve))
  t.equal(await next(), 'ready')
  const heard = next()
  add(106)
  t.equal(await heard, 'heard')
})
