/** The tables of test/flows in the process, TCP and UDP: what policies say, and who is refused. */

import { halves } from '../compliance/iptables-tables.ts'
import { playUserspace } from '../compliance/userspace-tables.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playUserspace(halves.rules)
