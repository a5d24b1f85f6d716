/** The tables once more on fakes of iptables and ipset: each case an update of the one before, traced on what they hold. */
import t from 'tap'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { allTables } from '../compliance/all-tables.ts'
import { IptablesOnFakes } from '../compliance/iptables-on-fakes.ts'
import { iptablesLayouts, iptablesTraits, layoutName } from '../compliance/iptables-traits.ts'
import { defaultSettings } from '../compliance/settings.ts'
import { traceOn } from '../compliance/trace-flows.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets } from '../flows/net.ts'

for (const [i, layout] of iptablesLayouts.entries()) {
  const variant = variants[i % variants.length] ?? 'nft'
  for (const [name, table] of Object.entries(allTables)) {
    for (const net of nets) {
      for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
        t.test(`${name}, ${net.family}, ${protocol}, iptables-${variant} ${layoutName(layout)} on fakes`, async (t) => {
          const fakes = new IptablesOnFakes(variant, layout)
          let before: string | undefined
          let branched = false
          for (const flow of table(net, protocol, iptablesTraits)) {
            const settings = { ...defaultSettings, ...flow.settings }
            const objects = withNode(flow.objects)
            if (before === JSON.stringify(settings)) await fakes.update(objects)
            else await fakes.start(objects, settings)
            before = JSON.stringify(settings)
            for (const { packet, got, wanted } of traceOn(flow, protocol, await fakes.tracers())) {
              const title = `${flow.name}: ${packet.from} to ${packet.to} port ${packet.port} (${flow.rules.join(' ')})`
              t.same(got, wanted, title)
            }
            branched ||= (await fakes.branches('IPv4')) && (await fakes.branches('IPv6'))
            const written = fakes.restores
            await fakes.start(objects, settings)
            t.equal(fakes.restores, written, `${flow.name}: a restart finds nothing to write`)
          }
          t.equal(branched, layout.dispatch === 'tree', 'a tree has branches')
        })
      }
    }
  }
}
