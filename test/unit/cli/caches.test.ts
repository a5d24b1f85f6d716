import { describe, expect, it } from 'vitest'
import { type CacheOptions, waitForCaches } from '../../../src/cli/caches.ts'
import type { Trouble } from '../../../src/cli/sources.ts'

const never = new Promise<void>(() => {})

/** Time passes only by sleeping; there is trouble from `from` on. */
const scene = (from: number, more: Partial<CacheOptions> = {}) => {
  let now = 0
  const trouble = (): Trouble | undefined => (now < from ? undefined : { since: from, message: `at ${now}` })
  const clock: CacheOptions['clock'] = {
    monotonic: () => now,
    sleep: async (ms, signal) => {
      // Lets other work have its turn, as a timer does.
      await new Promise((resolve) => setImmediate(resolve))
      if (!signal.aborted) now += ms
    },
  }
  const options: CacheOptions = {
    sink: { ready: never },
    source: { trouble },
    running: never,
    once: true,
    clock,
    ...more,
  }
  return { options, elapsed: () => now }
}
const { signal } = new AbortController()

describe('waitForCaches', () => {
  it('ends with the caches full, and asks no more', async () => {
    const { options, elapsed } = scene(0, { sink: { ready: new Promise((resolve) => setTimeout(resolve, 20)) } })
    await waitForCaches({ ...options, source: { trouble: () => undefined } }, signal)
    const end = elapsed()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(elapsed()).toBe(end)
  })

  it('gives up after 10 s of trouble, with the last reason', async () => {
    const { options, elapsed } = scene(5_000)
    await expect(waitForCaches(options, signal)).rejects.toThrow('could not list what the API server has: at 15000')
    expect(elapsed()).toBe(15_000)
  })

  it('never gives up when it serves', async () => {
    const { options, elapsed } = scene(0, {
      once: false,
      sink: { ready: new Promise((resolve) => setTimeout(resolve, 20)) },
    })
    await waitForCaches(options, signal)
    expect(elapsed()).toBe(0)
  })

  it('ends with the source: with its failure, or when told to', async () => {
    const failed = scene(Number.POSITIVE_INFINITY, { running: Promise.reject(new Error('no kubeconfig')) })
    await expect(waitForCaches(failed.options, signal)).rejects.toThrow('no kubeconfig')
    const stopped = scene(Number.POSITIVE_INFINITY, { running: Promise.resolve() })
    await expect(waitForCaches(stopped.options, signal)).resolves.toBeUndefined()
  })
})
