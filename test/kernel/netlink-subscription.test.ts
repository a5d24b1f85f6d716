import { execFileSync } from 'node:child_process'
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
import { addLink, deleteLink, linkName, RTM_DELLINK, RTM_NEWLINK, RTNLGRP_LINK } from './netlink-requests.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const connection = new Connection(openTransport({ protocol: protocols.route }))
t.teardown(() => connection.close())

const add = (name: string): void => connection.request(addLink(name), signal)
const remove = (name: string): void => connection.request(deleteLink(name), signal)

interface Heard extends SubscriptionHandlers {
  readonly subscription: Subscription
  readonly names: string[]
  readonly losses: KernelError[]
}

type Tap = Pick<typeof t, 'teardown'>

const listen = (
  t: Tap,
  {
    receiveBuffer = 1 << 20,
    onMessage = (): void => {},
    abort = signal,
    groups = [RTNLGRP_LINK],
  }: {
    receiveBuffer?: number
    onMessage?: (message: MessageReader) => void
    abort?: AbortSignal
    groups?: readonly number[]
  } = {},
): Heard => {
  const names: string[] = []
  const losses: KernelError[] = []
  const handlers: SubscriptionHandlers = {
    onMessage(message) {
      if (message.type === RTM_NEWLINK) names.push(linkName(message))
      else if (message.type === RTM_DELLINK) names.push(`-${linkName(message)}`)
      onMessage(message)
    },
    onLost: (error) => void losses.push(error),
  }
  const subscription = subscribe({ protocol: protocols.route, groups, receiveBuffer }, handlers, abort)
  t.teardown(() => subscription.close())
  return { ...handlers, subscription, names, losses }
}

/** Turns of the event loop, without a timer. */
const turnsUntil = async (met: () => boolean, limitMs = 5000): Promise<boolean> => {
  const giveUp = performance.now() + limitMs
  while (!met() && performance.now() < giveUp) await nextTurn()
  return met()
}

t.test('an event wakes the loop: nothing else runs in it, no timer either', async (t) => {
  const woken = new Promise<number>((resolve) => {
    listen(t, { onMessage: () => resolve(performance.now()) })
  })
  // Subscribed and idle: the loop sleeps until the other process makes its link.
  const started = performance.now()
  const { spawn } = await import('node:child_process')
  const child = spawn('sh', ['-c', 'sleep 0.1; ip link add by-another type bridge; exec sleep 2'], { stdio: 'ignore' })
  t.teardown(() => child.kill())
  const at = await woken
  t.ok(at - started < 1500, `${at - started} ms`)
  t.equal(child.exitCode, null, 'it was not the end of the process that woke it')
})

t.test('what came before the event loop ran is not forgotten', async (t) => {
  const heard = listen(t)
  add('early')
  t.same(heard.names, [])
  t.ok(await turnsUntil(() => heard.names.includes('early')))
  remove('early')
  t.ok(await turnsUntil(() => heard.names.includes('-early')))
})

t.test('several subscriptions, each with its own groups', async (t) => {
  const links = listen(t)
  const none = listen(t, { groups: [] })
  add('one')
  t.ok(await turnsUntil(() => links.names.includes('one')))
  none.subscription.join(RTNLGRP_LINK)
  links.subscription.leave(RTNLGRP_LINK)
  remove('one')
  t.ok(await turnsUntil(() => none.names.includes('-one')))
  t.notOk(links.names.includes('-one'))
})

t.test('poll delivers at once', async (t) => {
  const heard = listen(t)
  add('polled')
  heard.subscription.poll()
  t.ok(heard.names.includes('polled'))
  remove('polled')
})

t.test('a loss is told when everything that waited was read, and nothing is lost afterwards', async (t) => {
  const heard = listen(t, { receiveBuffer: 4096 })
  await turnsUntil(() => false, 5)
  for (let i = 0; i < 50; i++) add(`many${i}`)
  t.same(heard.losses, [])
  t.ok(await turnsUntil(() => heard.losses.length > 0))
  t.match(heard.losses, [{ code: 'overflow', errno: 105 }])
  t.ok(heard.names.length > 0, 'what waited was delivered')
  t.ok(heard.names.length < 50)
  add('after')
  t.ok(await turnsUntil(() => heard.names.includes('after')))
  for (let i = 0; i < 50; i++) remove(`many${i}`)
  remove('after')
  t.ok(await turnsUntil(() => heard.losses.length === 2), 'told again')
})

t.test('a handler that throws hears of it, and the others go on', async (t) => {
  const throwing = listen(t, {
    onMessage: () => {
      throw new Error('oops')
    },
  })
  const other = listen(t)
  add('thrown')
  t.ok(await turnsUntil(() => throwing.losses.length > 0 && other.names.includes('thrown')))
  t.match(throwing.losses[0], { code: 'io', detail: /oops/ })
  t.same(other.losses, [])
  remove('thrown')
})

t.test('a storm of events leaves room for other work', async (t) => {
  const busy = listen(t, {
    receiveBuffer: 8 << 20,
    onMessage: () => {
      for (const until = performance.now() + 0.5; performance.now() < until; );
    },
  })
  const other = listen(t)
  for (let i = 0; i < 100; i++) add(`s${i}`)
  const before = performance.now()
  await sleep(1)
  t.ok(performance.now() - before < 40, 'a timer runs between two slices')
  t.ok(busy.names.length < 200, 'not everything was read yet')
  t.ok(await turnsUntil(() => other.names.includes('s99')))
  t.ok(busy.names.length < 200, 'nor does the other subscription wait for it')
  t.ok(await turnsUntil(() => busy.names.includes('s99')))
  t.same([...busy.losses, ...other.losses], [])
  for (let i = 0; i < 100; i++) remove(`s${i}`)
})

t.test('ends by close or signal, inside a handler too', async (t) => {
  const stop = new AbortController()
  const closing: Heard = listen(t, { onMessage: () => closing.subscription.close() })
  const aborted = listen(t, { onMessage: () => stop.abort(), abort: stop.signal })
  const counter = listen(t)
  add('last')
  t.ok(await turnsUntil(() => counter.names.includes('last')))
  remove('last')
  t.ok(await turnsUntil(() => counter.names.includes('-last')))
  t.equal(closing.names.length, 1)
  t.equal(aborted.names.length, 1)
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
    subscribe({ protocol: 0, groups: [1] }, { onMessage() {}, onLost() {} }, new AbortController().signal)
  `)
  execFileSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 10_000 })
  t.end()
})

t.test('in a worker thread, which gets no signals, too', async (t) => {
  const code = program(`
    import { parentPort } from 'node:worker_threads'
    const handlers = { onMessage: () => parentPort.postMessage('heard'), onLost() {} }
    subscribe({ protocol: 0, groups: [1] }, handlers, new AbortController().signal)
    parentPort.postMessage('ready')
    parentPort.on('message', () => {})
  `)
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  t.teardown(() => worker.terminate())
  const next = (): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve))
  t.equal(await next(), 'ready')
  const heard = next()
  add('worker')
  t.equal(await heard, 'heard')
})
