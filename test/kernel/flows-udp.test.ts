/** UDP flows, which conntrack keeps for as long as the client goes on sending: what a change does to them. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { Stage } from '../compliance/stage.ts'
import { playUdp } from '../compliance/udp.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['UDP'])
t.teardown(() => stage.close())

await playUdp(new NftablesUnderTest(), stage)
