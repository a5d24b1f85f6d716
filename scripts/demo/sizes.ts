/** The sizes after `from`, one step at a time, up to and with `to`. */
export const sizesFrom = (from: number, to: number): readonly number[] =>
  Array.from({ length: Math.abs(to - from) }, (_, i) => (to > from ? from + i + 1 : from - i - 1))
