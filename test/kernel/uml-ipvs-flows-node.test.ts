/** What depends on the node itself in mode ipvs, and UDP flows while things change. */

import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { playNode } from '../compliance/node.ts'
import { playUdp } from '../compliance/udp.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true }, playNode, playUdp)
