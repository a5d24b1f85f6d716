/** What a scenario may ask for. Beyond it numbers would lose their meaning or the machine its memory. */
export const limits = {
  seed: { min: 0, max: 2 ** 32 - 1 },
  connections: { min: 1, max: 100_000_000 },
  /** Connections per second. */
  rate: { min: 1e-6, max: 1e9 },
  /** Seconds. */
  duration: { min: 0, max: 1e9 },
  /** Seconds. */
  serviceTime: { min: 0, max: 1e6 },
  population: { min: 1, max: 1_000_000 },
  skew: { min: 0, max: 10 },
  servers: { min: 1, max: 10_000 },
  /** The kernel's, a C int. */
  weight: { min: 0, max: 2 ** 31 - 1 },
  capacity: { min: 1, max: 1_000_000 },
  queue: { min: 0, max: 100_000_000 },
  sigma: { min: 0, max: 10 },
  alpha: { min: 1.001, max: 1000 },
  factor: { min: 1e-6, max: 1e6 },
  burst: { min: 1, max: 1_000_000 },
  events: { min: 0, max: 10_000 },
} as const
