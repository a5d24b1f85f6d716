/** `count` upper bounds, `start` and each the double of the one before. */
const doubling = (start: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => start * 2 ** i)

/** `count` upper bounds, `width` apart. */
const linear = (start: number, width: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => start + width * i)

/** Seconds: 1 ms to 16.4 s, as kube-proxy measures a sync. */
export const syncBuckets: number[] = [...doubling(0.001, 15)]

/**
 * Seconds: kube-proxy's buckets for the time from an endpoint's change to its rules. The leading 0 is kube-proxy's
 * too (component-base's MergeBuckets begins with a zero): it counts what clock skew dates into the future.
 */
export const networkProgrammingBuckets: number[] = [
  0,
  ...linear(0.25, 0.25, 2),
  ...linear(1, 1, 59),
  ...linear(60, 5, 12),
  ...linear(120, 30, 7),
]

/** Seconds: 10 µs to 10 s in steps of 1, 2, 5. A netlink commit of one element takes some 10 µs. */
export const stageBuckets: number[] = [-5, -4, -3, -2, -1, 0]
  .flatMap((exponent) => [1, 2, 5].map((digit) => Number(`${digit}e${exponent}`)))
  .concat(10)
