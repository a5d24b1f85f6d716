import { activeCost, overhead } from './cost.ts'
import type { Bind } from './scheduler.ts'
import { SchedulerError } from './scheduler-error.ts'
import { isUsable, type Server, usableWeight } from './server.ts'

/**
 * Power of two choices: two usable servers drawn by weight, and of them the one with the smaller overhead / weight; the
 * first one drawn when they are equal. O(n).
 *
 *     total = sum of the weights of the usable servers; two random numbers from 0 to total, both included
 *     a draw walks the list, taking each weight off its number, and ends where it is 0 or less
 *     the second wins when weight(second) × overhead(first) > weight(first) × overhead(second), in 32 bits as in the kernel
 *
 * So the first usable server is drawn with a chance of (weight + 1) / (total + 1), the others with weight / (total + 1).
 * Source: net/netfilter/ipvs/ip_vs_twos.c.
 */
export const twos: Bind = ({ items }, options) => {
  const active = activeCost(options.overhead)
  const { random } = options
  if (random === undefined) throw new SchedulerError('no-source', 'twos', 'no source of random numbers')

  return {
    pick() {
      const total = usableWeight(items)
      if (total === 0) return undefined
      let left1 = random(total + 1)
      let left2 = random(total + 1)
      let first: Server | undefined
      let second: Server | undefined
      for (let i = 0; i < items.length; i++) {
        const server = items[i]
        if (server === undefined || !isUsable(server)) continue
        left1 -= server.weight
        left2 -= server.weight
        if (left1 <= 0 && first === undefined) first = server
        if (left2 <= 0 && second === undefined) second = server
        if (first !== undefined && second !== undefined) return secondWins(first, second, active) ? second : first
      }
      return undefined
    },
  }
}

const secondWins = (first: Server, second: Server, active: number): boolean =>
  Math.imul(second.weight, overhead(first, active)) > Math.imul(first.weight, overhead(second, active))
