/** Mode ipvs: TCP connections to an endpoint that vanished. */
import { IpvsUnderTest } from '../compliance/ipvs.ts'
import { createIpvsStage } from '../compliance/ipvs-tables.ts'
import { playStaleConnections } from '../compliance/stale-connections.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

const stage = await createIpvsStage(['TCP'])
await playStaleConnections(new IpvsUnderTest(), stage)
await stage.close()
