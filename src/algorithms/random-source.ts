/** A whole number from 0 to `below - 1`, all equally likely (get_random_u32_below). `below` is at least 1. */
export type RandomBelow = (below: number) => number

/** Mulberry32: good enough to spread connections, the same on every machine. `seed`: any 32 bits. */
export const seededRandom = (seed: number): RandomBelow => {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
