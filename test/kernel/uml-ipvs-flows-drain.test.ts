/** Graceful termination on IPVS, with connections that are open. */
import { playDrains } from '../compliance/ipvs-drain.ts'
import { createIpvsStage } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

const stage = await createIpvsStage(['TCP'])
await playDrains(stage)
await stage.close()
