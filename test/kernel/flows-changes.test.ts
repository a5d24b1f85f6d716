/** Connections, new and established, while endpoints, Services, rules and the proxy change. */
import t from 'tap'
import { ChangeScenarios } from '../compliance/changes.ts'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { Stage } from '../compliance/stage.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())

await new ChangeScenarios(new NftablesUnderTest(), stage).play()
