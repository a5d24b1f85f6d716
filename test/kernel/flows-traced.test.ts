/** The same tables on the text that `weir render` gives, with a tracer in place of a kernel: what it prints is what it does. */
import t from 'tap'
import { allTables } from '../compliance/all-tables.ts'
import { iptablesLayouts } from '../compliance/iptables-traits.ts'
import { traceCase } from '../compliance/trace-flows.ts'
import { iptablesTracing, nftTracing } from '../compliance/tracing.ts'
import { nets } from '../flows/net.ts'

const tracings = [nftTracing, ...iptablesLayouts.map(iptablesTracing)]
for (const tracing of tracings) {
  for (const [name, table] of Object.entries(allTables)) {
    for (const net of nets) {
      for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
        t.test(`${name}, ${net.family}, ${protocol}, traced, ${tracing.name}`, async (t) => {
          for (const flow of table(net, protocol, tracing.traits)) {
            for (const { packet, got, wanted } of traceCase(flow, protocol, tracing)) {
              t.same(
                got,
                wanted,
                `${flow.name}: ${packet.from} to ${packet.to} port ${packet.port} (${flow.rules.join(' ')})`,
              )
            }
          }
        })
      }
    }
  }
}
