/** Numbers of one measurement, all in the same unit. */
export interface Summary {
  readonly n: number
  readonly min: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** The value below which a share `q` of the samples lies: nearest rank, so always one that was measured. */
export const quantile = (sorted: readonly number[], q: number): number => {
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(q * sorted.length)))
  const value = sorted[rank - 1]
  if (value === undefined) throw new RangeError('no samples')
  return value
}

export const summarise = (samples: readonly number[]): Summary => {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    n: sorted.length,
    min: quantile(sorted, 0),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: quantile(sorted, 1),
  }
}

export const median = (samples: readonly number[]): number => summarise(samples).p50
