/**
 * The start of the program in mode ipvs, in a guest: what it says where something is missing or cannot be set, and what
 * --init-only sets up. test/uml/cli-ipvs-start.ts says what is compared with what.
 */
import { playComparisons } from '../support/guest-comparisons.ts'

await playComparisons(import.meta.url, { program: 'cli-ipvs-start', least: 16 })
