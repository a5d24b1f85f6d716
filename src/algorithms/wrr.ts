import { gcd } from './gcd.ts'
import type { Bind } from './scheduler.ts'
import type { Server } from './server.ts'

/**
 * Weighted round robin, interleaved: rounds over the list at a threshold that goes down from the largest weight by the
 * greatest common divisor of all weights; in each, every server whose weight reaches the threshold has a turn.
 *
 *     step = gcd of the weights above 0 (1 if there are none), top = max weight - (step - 1)
 *     threshold: top, top - step, … 1, and again
 *
 * So weights 4, 3, 2 give AABABCABC. Overloaded servers count for step and top. Every add, remove and update starts over
 * at the head of the list and keeps the threshold if it still is one: it becomes top when it exceeds top or is 0, else
 * floor(threshold / step) × step + 1 when step > 1. A service that is filled one by one therefore begins with a round at
 * threshold 1, and one whose weights change all the time is no longer served in proportion. O(1) for even weights, O(n)
 * at worst. Source: net/netfilter/ipvs/ip_vs_wrr.c.
 */
export const wrr: Bind = (servers) => {
  /** Position of the last pick; `head` is before the first. */
  let cursor = head
  let step = stepOf(servers.items)
  let top = topOf(servers.items, step)
  let threshold = top

  const changed = (): void => {
    cursor = head
    step = stepOf(servers.items)
    top = topOf(servers.items, step)
    if (threshold > top || threshold === 0) threshold = top
    else if (step > 1) threshold = Math.floor(threshold / step) * step + 1
  }

  const pick = (): Server | undefined => {
    if (top === 0) return undefined
    const { items } = servers
    const start = cursor
    let stop = none
    let lastRound = false
    let restarted = false
    for (let from = start + 1; ; from = 0) {
      let heaviest = 0
      for (let i = from; i < items.length; i++) {
        const server = items[i]
        if (server !== undefined && !server.overloaded) {
          if (server.weight >= threshold) {
            cursor = i
            return server
          }
          if (server.weight > heaviest) heaviest = server.weight
        }
        if (i === stop) {
          cursor = i
          return undefined
        }
      }
      // After a whole round without anybody, the next rounds that nobody reaches need not be walked.
      threshold -= from === 0 ? stepsDown(threshold, heaviest, step) * step : step
      if (threshold <= 0) {
        threshold = top
        if (lastRound || start === head) {
          cursor = head
          return undefined
        }
        restarted = true
      }
      lastRound = threshold <= step
      // The first round was for everybody who can be picked, but began after `start`: finish it there.
      if (lastRound && restarted && start !== head) stop = start
    }
  }
  return { pick, added: changed, removed: changed, updated: changed }
}

const head = -1
const none = -2

const stepsDown = (threshold: number, heaviest: number, step: number): number =>
  Math.max(1, Math.ceil((threshold - Math.max(heaviest, 1)) / step))

const stepOf = (servers: readonly Server[]): number =>
  servers.reduce((known, { weight }) => (weight > 0 ? gcd(weight, known) : known), 0) || 1

const topOf = (servers: readonly Server[], step: number): number =>
  servers.reduce((known, { weight }) => Math.max(known, weight), 0) - (step - 1)
