/** Parameters that the kernel has and has not, and those that cannot be written. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { conntrackHashsize, moduleParameters } from '../../src/kernel/sysctl/module-parameters.ts'
import { ProcSysctl } from '../../src/kernel/sysctl/proc-sysctl.ts'
import { ensureAtLeast, ensureInteger, readInteger } from '../../src/kernel/sysctl/sysctl.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const sysctl = new ProcSysctl()
const mount = (...args: readonly string[]): void => void execFileSync('mount', args)

t.test('parameters of this network namespace', async (t) => {
  t.equal(await readInteger(sysctl, 'net/ipv4/ip_forward', signal), 0)
  t.equal(await ensureInteger(sysctl, 'net/ipv4/ip_forward', 1, signal), true)
  t.equal(await ensureInteger(sysctl, 'net/ipv4/ip_forward', 1, signal), false)
  t.equal(execFileSync('sysctl', ['-n', 'net.ipv4.ip_forward'], { encoding: 'utf8' }), '1\n')
  await t.rejects(sysctl.write('net/ipv4/ip_default_ttl', 0, signal), { code: 'rejected' })
  await t.rejects(ensureInteger(sysctl, 'net/ipv4/vs/none', 1, signal), { code: 'missing' })
})

t.test('parameters of modules', async (t) => {
  const modules = moduleParameters()
  const buckets = await readInteger(modules, conntrackHashsize, signal)
  t.ok(buckets > 0)
  t.equal(await ensureAtLeast(modules, conntrackHashsize, buckets, signal), false)
  await t.rejects(ensureAtLeast(modules, conntrackHashsize, buckets + 1, signal), { code: 'denied' }, 'not from here')
  t.equal(await readInteger(modules, conntrackHashsize, signal), buckets)
})

t.test('read-only', async (t) => {
  mount('--bind', '/proc/sys', '/proc/sys')
  mount('-o', 'remount,bind,ro', '/proc/sys')
  t.equal(await ensureInteger(sysctl, 'net/ipv4/ip_forward', 1, signal), false, 'what is right need not be written')
  await t.rejects(ensureInteger(sysctl, 'net/ipv4/ip_forward', 0, signal), {
    code: 'denied',
    message: 'write net/ipv4/ip_forward = 0: EROFS, it is mounted read-only',
  })
})
