import { gcd } from './gcd.ts'

/**
 * One period of LVS's weighted round robin (ip_vs_wrr.c): server indexes in the order in which an untouched service
 * is served. Thresholds go from the largest weight down to the greatest common divisor in steps of that divisor; at
 * each, every server whose weight reaches it has one turn, in list order. A period longer than `limit` slots is
 * scaled down, the shares rounded by largest remainder; no server with a positive weight loses its last slot unless
 * there are more of them than slots. Empty when no weight is positive.
 */
export const wrrSequence = (weights: readonly number[], limit: number): Uint16Array => {
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`a sequence cannot have ${limit} slots`)
  if (weights.length > maxServers) throw new RangeError(`${weights.length} servers do not fit 16-bit indexes`)
  const turns = fitted(reduced(weights), limit)
  const sequence = new Uint16Array(total(turns))

  // A server takes part from the threshold of its weight down to 1, so servers only ever join.
  const joining = turns.map((_, server) => server).sort((a, b) => (turns[b] ?? 0) - (turns[a] ?? 0) || a - b)
  const active: number[] = []
  let next = 0
  let at = 0
  for (let threshold = turns[joining[0] ?? 0] ?? 0; threshold > 0; threshold--) {
    const before = next
    while (next < joining.length && (turns[joining[next] ?? 0] ?? 0) >= threshold) active.push(joining[next++] ?? 0)
    if (next > before) active.sort((a, b) => a - b)
    for (const server of active) sequence[at++] = server
  }
  return sequence
}

const maxServers = 0x10000

const total = (weights: readonly number[]): number => weights.reduce((sum, weight) => sum + weight, 0)

/** Divided by their greatest common divisor; negative weights count as 0. */
const reduced = (weights: readonly number[]): readonly number[] => {
  const divisor = weights.reduce((known, weight) => (weight > 0 ? gcd(weight, known) : known), 0)
  return divisor === 0 ? [] : weights.map((weight) => (weight > 0 ? weight / divisor : 0))
}

/** At most `limit` turns in proportion to the weights, then divided again: the period may have got shorter still. */
const fitted = (weights: readonly number[], limit: number): readonly number[] => {
  if (total(weights) <= limit) return weights
  const turns = weights.map(() => 0)
  let open = weights.flatMap((weight, server) => (weight > 0 ? [server] : []))
  let slots = limit
  if (open.length <= limit) {
    // Whoever's share is below one slot gets one; that shrinks the others' shares, so look again.
    for (;;) {
      const sum = open.reduce((known, server) => known + (weights[server] ?? 0), 0)
      const small = open.filter((server) => (weights[server] ?? 0) * slots < sum)
      if (small.length === 0) break
      for (const server of small) turns[server] = 1
      slots -= small.length
      const done = new Set(small)
      open = open.filter((server) => !done.has(server))
    }
  }
  shareOut(weights, open, slots, turns)
  return reduced(turns)
}

/** Gives `slots` to the `open` servers by largest remainder; the earlier server wins a tie. */
const shareOut = (weights: readonly number[], open: readonly number[], slots: number, turns: number[]): void => {
  const sum = open.reduce((known, server) => known + (weights[server] ?? 0), 0)
  const remainders: { readonly server: number; readonly remainder: number }[] = []
  let left = slots
  for (const server of open) {
    const share = (weights[server] ?? 0) * slots
    const whole = Math.floor(share / sum)
    turns[server] = whole
    left -= whole
    remainders.push({ server, remainder: share % sum })
  }
  remainders.sort((a, b) => b.remainder - a.remainder || a.server - b.server)
  for (const { server } of remainders.slice(0, left)) turns[server] = (turns[server] ?? 0) + 1
}
