import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { within } from './within.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

it('gives back what the work does, and leaves nothing behind', async () => {
  expect(await within(1_000, new AbortController().signal, async () => 7)).toBe(7)
  await expect(within(1_000, new AbortController().signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(vi.getTimerCount()).toBe(0)
})

it('ends the work after the time', async () => {
  const work = expect(within(1_000, new AbortController().signal, untilAborted)).rejects.toMatchObject({
    name: 'TimeoutError',
  })
  await vi.advanceTimersByTimeAsync(1_000)
  await work
})

it.each([false, true])('ends the work when it is told to, beforehand: %s', async (beforehand) => {
  const stop = new AbortController()
  const reason = new Error('enough')
  if (beforehand) stop.abort(reason)
  const work = expect(within(1_000, stop.signal, untilAborted)).rejects.toBe(reason)
  stop.abort(reason)
  await work
  expect(vi.getTimerCount()).toBe(0)
})
