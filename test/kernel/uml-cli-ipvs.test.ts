/**
 * The program in mode ipvs, in a guest whose kernel has IPVS: what it writes and removes, and changes of mode. test/uml/cli-ipvs.ts
 * says what is compared with what.
 */
import { playComparisons } from '../support/guest-comparisons.ts'

await playComparisons(import.meta.url, { program: 'cli-ipvs', least: 25 })
