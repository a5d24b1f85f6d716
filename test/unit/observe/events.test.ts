import { describe, expect, test } from 'vitest'
import { combineObservers, noopObserver, type SyncObserver } from '../../../src/sync/events.ts'
import { applied } from './support/events.ts'

const fail = (cause: unknown): never => {
  throw cause
}

describe('combineObservers', () => {
  test('tells every observer that listens, in order, with its own this', () => {
    const heard: string[] = []
    class Listener implements Partial<SyncObserver> {
      readonly #name: string
      constructor(name: string) {
        this.#name = name
      }
      applied({ added }: { readonly added: number }): void {
        heard.push(`${this.#name} ${added}`)
      }
    }
    const all = combineObservers([new Listener('a'), {}, new Listener('b')], fail)
    all.applied(applied({ added: 7 }))
    all.queued({ family: 'IPv4', at: 0 })
    expect(heard).toEqual(['a 7', 'b 7'])
  })

  test('never throws, and an observer that does harms no other', () => {
    const heard: string[] = []
    const errors: unknown[] = []
    const broken: Partial<SyncObserver> = {
      queued: () => {
        throw new Error('broken')
      },
    }
    const all = combineObservers([broken, { queued: () => heard.push('queued') }], (cause, event) =>
      errors.push([event, cause]),
    )
    expect(() => all.queued({ family: 'IPv4', at: 0 })).not.toThrow()
    expect(heard).toEqual(['queued'])
    expect(errors).toEqual([['queued', new Error('broken')]])
  })

  test('passes on every event there is', () => {
    expect(Object.keys(combineObservers([], fail)).sort()).toEqual(Object.keys(noopObserver).sort())
  })
})
