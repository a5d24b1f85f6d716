/** What can be compared of NetlinkRoute, FakeRoute and `ip` on a kernel without dummy devices: test/uml/route-script.ts. */
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { type Compare, compareLinks, compareRoutes, iproute } from '../uml/route-script.ts'

ownNamespace(import.meta.url)

const comparing =
  (t: { same(found: unknown, wanted: unknown, name: string): boolean }): Compare =>
  (name, found, wanted) =>
    void t.same(found, wanted, name)

const hasDummies = (): boolean => {
  try {
    iproute('link add probe type dummy')
  } catch {
    return false
  }
  iproute('link del probe')
  return true
}

t.test('links and addresses', (t) => compareLinks(hasDummies(), comparing(t)))

t.test('routes', (t) => {
  iproute('link set lo up')
  iproute('link add out type bridge')
  iproute('link set out up')
  for (const address of ['192.0.2.1/24', '2001:db8::1/64 nodad']) iproute(`addr add ${address} dev out`)
  return compareRoutes(comparing(t))
})
