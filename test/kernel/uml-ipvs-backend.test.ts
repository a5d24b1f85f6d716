/** Mode ipvs on a real kernel: cold, warm, by changes, with connections that drain, refused, disturbed, and cleaned up. */
import { playComparisons } from '../support/guest-comparisons.ts'

await playComparisons(import.meta.url, { program: 'ipvs-backend', least: 40, timeoutMs: 220_000 })
