/** Our rtnetlink client and its fake, judged in a guest by a kernel that has dummy devices and by `ip`: test/uml/route.ts. */
import { playComparisons } from '../support/guest-comparisons.ts'

await playComparisons(import.meta.url, { program: 'route', least: 91 })
