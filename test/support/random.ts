/** xorshift32: the same sequence in every run; whole numbers below the one asked for. `seed` is not 0. */
export const randomFrom = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
export type Random = ReturnType<typeof randomFrom>
