/** Named counters: made, read back, and moved by packets that pass a rule. The fake must answer as the kernel does. */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { FakeNfacct } from '../../src/kernel/nfacct/fake-nfacct.ts'
import { openNfacct } from '../../src/kernel/nfacct/netlink-nfacct.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const nfacct = openNfacct()
t.teardown(() => nfacct.close())

if (!(await nfacct.supported(signal))) {
  t.test('a kernel without nfacct', async (t) => {
    await t.rejects(nfacct.ensure('absent', signal), { code: 'invalid' })
    await t.rejects(nfacct.read('absent', signal), { code: 'invalid' })
    const fake = new FakeNfacct(false)
    t.notOk(await fake.supported(signal))
    await t.rejects(fake.ensure('absent', signal), { code: 'invalid' })
    await t.rejects(fake.read('absent', signal), { code: 'invalid' })
  })
} else {
  for (const [name, objects] of [['kernel', nfacct] as const, ['fake', new FakeNfacct()] as const])
    t.test(`${name}: objects`, async (t) => {
      t.ok(await objects.supported(signal))
      t.equal(await objects.read('weir_probe', signal), undefined, 'asking makes none')
      await objects.ensure('one', signal)
      await objects.ensure('one', signal)
      t.strictSame(await objects.read('one', signal), { packets: 0n, bytes: 0n })
      await objects.ensure('x'.repeat(31), signal)
      t.strictSame(await objects.read('x'.repeat(31), signal), { packets: 0n, bytes: 0n })
      await t.rejects(objects.ensure('x'.repeat(32), signal), { code: 'invalid' })
      await t.rejects(objects.ensure('', signal), { code: 'invalid' })
    })

  for (const variant of variants)
    t.test(`${variant}: a rule counts`, async (t) => {
      const name = `counted_${variant}`
      await nfacct.ensure(name, signal)
      const rule = ruleText('-p', 'udp', '--dport', '9', '-m', 'nfacct', '--nfacct-name', name)
      const client = new IptablesClient(variant, 'IPv4')
      await client.restore([{ table: 'filter', statements: [{ kind: 'append', chain: 'OUTPUT', rule }] }], signal)
      const socket = createSocket('udp4')
      t.teardown(() => socket.close())
      socket.bind()
      await once(socket, 'listening')
      for (let i = 0; i < 3; i++) socket.send('x'.repeat(72), 9, '127.0.0.1')
      for (let i = 0; i < 100 && (await nfacct.read(name, signal))?.packets !== 3n; i++) await sleep(10)
      t.strictSame(await nfacct.read(name, signal), { packets: 3n, bytes: 300n }, 'IP and UDP headers count')
      await nfacct.ensure(name, signal)
      t.strictSame(await nfacct.read(name, signal), { packets: 3n, bytes: 300n }, 'ensuring keeps the count')
      execFileSync(`iptables-${variant}`, ['-F'])
    })
}
