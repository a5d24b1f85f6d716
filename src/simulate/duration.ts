const units: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }

const pattern = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)$/

/** `250us`, `10ms`, `1.5s`, `2m`, `1h` → seconds; `0` alone is 0. undefined for anything else. */
export const parseDuration = (text: string): number | undefined => {
  if (text === '0') return 0
  const [, amount, unit = ''] = pattern.exec(text) ?? []
  const factor = units[unit]
  // Dividing is exact where multiplying by 0.001 is not.
  if (amount === undefined || factor === undefined) return undefined
  return factor < 1 ? Number(amount) / Math.round(1 / factor) : Number(amount) * factor
}

/** Three digits and the unit that suits: `12.3 ms`. */
export const formatDuration = (seconds: number): string => {
  if (seconds === 0) return '0 s'
  const [factor, unit] = scales.find(([scale]) => seconds * 1.0005 >= scale) ?? [1e-9, 'ns']
  const value = seconds / factor
  return `${value >= 99.95 ? Math.round(value) : value.toPrecision(3)} ${unit}`
}

const scales = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
] as const
