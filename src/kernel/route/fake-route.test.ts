import { describe, expect, it } from 'vitest'
import { familyOf, parseIP } from '../../model/ip.ts'
import { FakeRoute } from './fake-route.ts'
import type { InterfaceAddress } from './interface-address.ts'

const address = (text: string, name: string, index: number): InterfaceAddress => {
  const ip = parseIP(text)
  if (ip === undefined) throw new Error(text)
  return { ip, family: familyOf(ip), interface: name, index, scope: 'global', loopback: false }
}

describe('FakeRoute', () => {
  it('tells watchers of changes until they stop', async () => {
    const route = new FakeRoute()
    const stop = new AbortController()
    const seen: string[][] = []
    const first = await route.watchAddresses((list) => seen.push(list.map(({ ip }) => ip)), stop.signal)
    expect(first).toEqual([])
    route.setAddresses([address('2001:db8::1', 'eth1', 3), address('192.0.2.1', 'eth0', 2)])
    expect(await route.deleteLink('eth1', stop.signal)).toBe(true)
    stop.abort()
    route.setAddresses([])
    expect(seen).toEqual([['192.0.2.1', '2001:db8::1'], ['192.0.2.1']])
  })

  it('knows links', async () => {
    const { signal } = new AbortController()
    const route = new FakeRoute()
    route.addLink({ name: 'kube-ipvs0', index: 7, kind: 'dummy', up: true })
    expect(await route.findLink('kube-ipvs0', signal)).toEqual({
      name: 'kube-ipvs0',
      index: 7,
      kind: 'dummy',
      up: true,
    })
    expect(await route.deleteLink('kube-ipvs0', signal)).toBe(true)
    expect(await route.deleteLink('kube-ipvs0', signal)).toBe(false)
    expect(await route.findLink('kube-ipvs0', signal)).toBeUndefined()
  })

  it('tells what an interface loses, whoever takes it', async () => {
    const { signal } = new AbortController()
    const route = new FakeRoute()
    const losses: unknown[] = []
    await route.watchLink('kube-ipvs0', (loss) => losses.push(loss), signal)
    expect(await route.ensureDummy('kube-ipvs0', signal)).toBe(true)
    const [one, two] = [address('192.0.2.1', 'kube-ipvs0', 1), address('192.0.2.2', 'kube-ipvs0', 1)]
    await route.changeAddresses('kube-ipvs0', { add: [one.ip, two.ip], remove: [] }, signal)
    await route.changeAddresses('kube-ipvs0', { add: [], remove: [one.ip] }, signal)
    route.setAddresses([address('192.0.2.2', 'eth0', 2)])
    route.addLink({ name: 'kube-ipvs0', index: 1, kind: 'dummy', up: false })
    route.loseEvents('kube-ipvs0')
    await route.deleteLink('kube-ipvs0', signal)
    expect(losses).toEqual([
      { kind: 'addresses', ips: ['192.0.2.1'] },
      { kind: 'addresses', ips: ['192.0.2.2'] },
      { kind: 'down' },
      { kind: 'unknown' },
      { kind: 'link' },
    ])
  })

  it('leaves an interface out of what it tells', async () => {
    const { signal } = new AbortController()
    const route = new FakeRoute()
    const seen: string[][] = []
    await route.watchAddresses((list) => seen.push(list.map(({ ip }) => ip)), signal, { ignore: 'kube-ipvs0' })
    await route.ensureDummy('kube-ipvs0', signal)
    const one = address('192.0.2.1', 'kube-ipvs0', 1)
    await route.changeAddresses('kube-ipvs0', { add: [one.ip], remove: [] }, signal)
    route.setAddresses([one, address('192.0.2.2', 'eth0', 2)])
    expect(seen).toEqual([['192.0.2.2']])
  })
})
