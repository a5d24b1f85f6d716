/** Mode iptables: flows whose endpoint is gone, or that are older than their Service. */
import t from 'tap'
import { IptablesUnderTest } from '../compliance/iptables.ts'
import { Stage } from '../compliance/stage.ts'
import { playStaleAssociations, playStaleFlows } from '../compliance/stale-flows.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['UDP', 'SCTP'])
t.teardown(() => stage.close())

const layout = { variant: 'nft', ipset: false, dispatch: 'flat' } as const
await playStaleFlows(new IptablesUnderTest(layout), stage)
await playStaleAssociations(new IptablesUnderTest(layout), stage)
