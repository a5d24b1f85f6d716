/** Go's zero time.Time in RFC 3339. */
export const zeroTime = '0001-01-01T00:00:00Z'

/** Milliseconds since the epoch as Go's time.RFC3339Nano in UTC: trailing zeros of the fraction are left out. */
export const rfc3339Nano = (ms: number): string => new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z')
