import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { NLMSG_OVERRUN } from './constants.ts'
import { KernelError, malformed } from './error.ts'
import { ScriptedTransport } from './scripted-transport.ts'
import { type Subscription, type SubscriptionHandlers, subscribe } from './subscription.ts'
import { Writer } from './wire.ts'

const { signal } = new AbortController()

const event = (type: number, bytes = 0): Uint8Array => {
  const writer = new Writer()
  const message = writer.message(type, 0, 0)
  writer.reserve(bytes)
  writer.endMessage(message)
  return writer.finish()
}
const both = (...events: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(events))
const overflow = (): KernelError => KernelError.ofErrno('receive netlink datagram', 105)

interface Listener {
  readonly transport: ScriptedTransport
  readonly subscription: Subscription
  /** Types of events, and codes of losses, in the order in which they came. */
  readonly heard: (number | string)[]
}

const listen = (onMessage: SubscriptionHandlers['onMessage'] = () => {}, abort = signal): Listener => {
  const transport = new ScriptedTransport(undefined, { send: 212_992, receive: 10_000 })
  const heard: (number | string)[] = []
  const handlers: SubscriptionHandlers = {
    onMessage(message) {
      heard.push(message.type)
      onMessage(message)
    },
    onLost: ({ code }) => void heard.push(code),
  }
  const subscription = subscribe({ protocol: 0, groups: [1], open: () => transport }, handlers, abort)
  onTestFinished(() => subscription.close())
  return { transport, subscription, heard }
}

describe('a loss', () => {
  test('is told once, after everything that waited: until then the kernel goes on dropping', () => {
    const { transport, subscription, heard } = listen()
    transport.push(event(20), overflow(), both(event(21), event(22)), overflow(), event(23))
    subscription.poll()
    expect(heard).toEqual([20, 21, 22, 23, 'overflow'])
    transport.push(event(24))
    subscription.poll()
    expect(heard.slice(5)).toEqual([24])
  })

  test('is what cannot be understood, what the kernel reports itself, and what a handler throws', () => {
    const { transport, subscription, heard } = listen((message) => {
      if (message.type === 30) throw new TypeError('oops')
      if (message.type === 31) throw malformed('a name without an end')
    })
    const polled = (...steps: readonly (Uint8Array | Error)[]): readonly unknown[] => {
      heard.length = 0
      transport.push(...steps)
      subscription.poll()
      return heard.slice()
    }
    expect(polled(event(20).slice(0, 9), event(21))).toEqual([21, 'malformed'])
    expect(polled(both(event(NLMSG_OVERRUN), event(21)))).toEqual([21, 'overflow'])
    expect(polled(event(30), event(21))).toEqual([30, 21, 'io'])
    expect(polled(event(31))).toEqual([31, 'malformed'])
    // Asking again would not end.
    expect(polled(KernelError.ofErrno('receive netlink datagram', 9), event(21))).toEqual(['io'])
  })
})

test('poll reads what waits, and ends even when more keeps coming', () => {
  const { transport, subscription, heard } = listen(() => transport.push(event(20, 984)))
  transport.push(event(20, 984))
  subscription.poll()
  expect(heard.length).toBeGreaterThanOrEqual(10)
  expect(heard.length).toBeLessThan(12)
})

test('poll inside a handler does nothing: its message is still being read', () => {
  const listener = listen(() => listener.subscription.poll())
  listener.transport.push(event(20), event(21))
  listener.subscription.poll()
  expect(listener.heard).toEqual([20, 21])
})

test('what came before is delivered in the next turn of the event loop, not at once', async () => {
  const { transport, heard } = listen()
  transport.push(event(20))
  expect(heard).toEqual([])
  await nextTurn()
  expect(heard).toEqual([20])
})

test('a slow one is interrupted for the others', async () => {
  const slow = listen(() => {
    for (const until = performance.now() + 3; performance.now() < until; );
  })
  const quick = listen()
  for (let i = 0; i < 40; i++) slow.transport.push(event(20))
  quick.transport.push(event(21))
  for (let turns = 0; turns < 4; turns++) await nextTurn()
  expect(quick.heard).toEqual([21])
  expect(slow.heard.length).toBeLessThan(40)
  while (slow.transport.waiting > 0) await nextTurn()
  expect(slow.heard.length).toBe(40)
})

test('after the end nothing is read any more, in the same datagram neither', () => {
  const stop = new AbortController()
  const { transport, subscription, heard } = listen(() => stop.abort(), stop.signal)
  transport.push(both(event(20), event(21)), event(22))
  subscription.poll()
  expect(heard).toEqual([20])
  expect(transport.closed).toBe(true)
  subscription.poll()
  subscription.close()
  expect(heard).toEqual([20])
})

test('an aborted signal opens nothing', () => {
  const open = (): never => {
    throw new Error('opened')
  }
  const handlers = { onMessage: () => {}, onLost: () => {} }
  expect(() => subscribe({ protocol: 0, groups: [], open }, handlers, AbortSignal.abort(new Error('stop')))).toThrow(
    'stop',
  )
})

test('a transport that cannot wake is closed again', () => {
  const transport = new ScriptedTransport()
  transport.wakeBy = () => {
    throw KernelError.ofErrno('fcntl', 1)
  }
  const handlers = { onMessage: () => {}, onLost: () => {} }
  const listeners = process.listenerCount('SIGURG')
  expect(() => subscribe({ protocol: 0, groups: [], open: () => transport }, handlers, signal)).toThrow(
    expect.objectContaining({ code: 'permission' }),
  )
  expect(transport.closed).toBe(true)
  expect(process.listenerCount('SIGURG')).toBe(listeners)
})
