/** Taking over from kube-proxy's mode ipvs, in a guest that has IPVS: test/uml/takeover.ts. */
import { playComparisons } from '../support/guest-comparisons.ts'

await playComparisons(import.meta.url, { program: 'takeover', least: 8 })
