/** Who wrote: our own restores are no news, what other programs do to our tables is, within a second. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { concernsUs } from '../../src/backends/kube-chains.ts'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import type { Statement, TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { withXtablesLock } from '../../src/kernel/iptables/xtables-lock.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const plain = { IPv4: 'iptables', IPv6: 'ip6tables' } as const
const lookEveryMs = 20

const open = (variant: Variant) => {
  const news: Family[] = []
  const options = { variant, families, intervalMs: lookEveryMs, onForeignWrite: (family: Family) => news.push(family) }
  const watch = openRulesetWatch(options)
  const clients = {
    IPv4: new IptablesClient(variant, 'IPv4', { witness: watch, lockSeconds: 3 }),
    IPv6: new IptablesClient(variant, 'IPv6', { witness: watch, lockSeconds: 3 }),
  }
  const write = (family: Family, changes: readonly TableChange[], bytes = 1000): Promise<void> =>
    watch.write(family, bytes, () => clients[family].restore(changes, signal), signal)
  /** What is reported within `patienceMs`, or has been since the last call; what comes first is waited for no longer. */
  const heard = async (patienceMs: number): Promise<readonly Family[]> => {
    const end = performance.now() + patienceMs
    while (news.length === 0 && performance.now() < end) await sleep(5)
    await sleep(2 * lookEveryMs)
    return [...new Set(news.splice(0))].sort()
  }
  const soon = (): Promise<readonly Family[]> => heard(1000)
  const silence = (): Promise<readonly Family[]> => heard(5 * lookEveryMs)
  const compareAll = (): void => {
    for (const family of families) watch.compared(family, signal)
  }
  const iptables = (family: Family, ...args: string[]): void => {
    execFileSync(`${plain[family]}-${variant}`, args, { stdio: 'pipe' })
  }
  const iptablesRestore = (family: Family, input: string, ...args: string[]): void => {
    execFileSync(`${plain[family]}-${variant}-restore`, args, { input, stdio: 'pipe' })
  }
  return { watch, clients, write, soon, silence, compareAll, iptables, iptablesRestore }
}

const accept = ruleText('-j', 'ACCEPT')
const rules = (count: number): readonly Statement[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: 'append',
    chain: 'KUBE-X',
    rule: ruleText(
      '-m',
      'comment',
      '--comment',
      `rule ${i}`,
      '-p',
      'tcp',
      '--dport',
      String(1 + (i % 60_000)),
      '-j',
      'ACCEPT',
    ),
  }))

/** What stands before every case. */
const ours: readonly TableChange[] = [
  {
    table: 'filter',
    statements: [
      { kind: 'chain', chain: 'KUBE-X' },
      { kind: 'append', chain: 'KUBE-X', rule: accept },
      { kind: 'append', chain: 'INPUT', rule: ruleText('-j', 'KUBE-X') },
    ],
  },
  {
    table: 'nat',
    statements: [
      { kind: 'chain', chain: 'KUBE-X' },
      { kind: 'chain', chain: 'KUBE-EMPTY' },
      { kind: 'append', chain: 'KUBE-X', rule: accept },
      { kind: 'append', chain: 'KUBE-X', rule: accept },
    ],
  },
]
const touch = (i: number): readonly TableChange[] => [
  { table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-X' }, ...rules(1 + (i % 3))] },
]

for (const variant of variants)
  t.test(variant, async (t) => {
    const world = open(variant)
    const { watch, write, soon, silence, compareAll, iptables, iptablesRestore } = world
    t.teardown(() => watch.close())

    t.test('is suspicious until the tables were listed once', async (t) => {
      for (const family of families) t.notOk(watch.untouched(family, signal))
      compareAll()
      for (const family of families) t.ok(watch.untouched(family, signal))
      t.strictSame(await silence(), [])
    })

    t.test('own writes are no news', async (t) => {
      for (const family of families) await write(family, ours)
      for (let i = 0; i < 5; i++) await Promise.all(families.map((family) => write(family, touch(i))))
      t.strictSame(await silence(), [])
      for (const family of families) t.ok(watch.untouched(family, signal))
    })

    t.test('nor are those through update, and refused ones', async (t) => {
      await world.clients.IPv4.update('nat', () => [{ kind: 'append', chain: 'KUBE-X', rule: accept }], signal)
      const wrong: TableChange = { table: 'nat', statements: [{ kind: 'flush', chain: 'KUBE-GONE' }] }
      await t.rejects(write('IPv4', [...touch(1).map((change) => ({ ...change, table: 'filter' as const })), wrong]))
      t.strictSame(await silence(), [])
      t.ok(watch.untouched('IPv4', signal))
    })

    t.test('nor is a big one', async (t) => {
      const change: TableChange = { table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-X' }, ...rules(12_000)] }
      await Promise.all([write('IPv6', touch(1)), write('IPv4', [change], 2 << 20), write('IPv6', touch(2))])
      t.strictSame(await silence(), [])
      for (const family of families) t.ok(watch.untouched(family, signal))
    })

    const foreign: readonly (readonly [string, (family: Family) => void])[] = [
      ['iptables -F', (family) => iptables(family, '-F')],
      ['-t nat -F KUBE-X', (family) => iptables(family, '-t', 'nat', '-F', 'KUBE-X')],
      ['a restore that flushes', (family) => iptablesRestore(family, '*nat\nCOMMIT\n')],
      ['the deletion of a chain', (family) => iptables(family, '-t', 'nat', '-X', 'KUBE-EMPTY')],
      ['the deletion of a jump', (family) => iptables(family, '-D', 'INPUT', '-j', 'KUBE-X')],
      ['a rule before ours', (family) => iptables(family, '-I', 'INPUT', '-j', 'DROP')],
    ]
    for (const [name, act] of foreign)
      for (const family of families)
        t.test(`${name}, ${family}`, async (t) => {
          iptables(family, '-F')
          iptables(family, '-t', 'nat', '-F')
          await write(family, ours)
          compareAll()
          await silence()
          act(family)
          t.strictSame(await soon(), [family])
          t.notOk(watch.untouched(family, signal))
          for (const other of families) if (other !== family) t.ok(watch.untouched(other, signal))
          compareAll()
          t.ok(watch.untouched(family, signal))
        })

    t.test('asked right after, it knows without waiting', async (t) => {
      await write('IPv4', ours)
      compareAll()
      iptables('IPv4', '-t', 'nat', '-F', 'KUBE-X')
      t.notOk(watch.untouched('IPv4', signal))
      t.strictSame(await soon(), ['IPv4'])
    })

    t.test('writes elsewhere are not reported', async (t) => {
      compareAll()
      await silence()
      const nft = (input: string): void => {
        execFileSync('nft', ['-f', '-'], { input })
      }
      nft(
        'table ip weir { set s { type ipv4_addr; }; }; table inet filter { chain c { }; }; table ip docker { chain nat { }; }',
      )
      nft('delete table ip weir; delete table inet filter; delete table ip docker')
      iptables('IPv4', '-t', 'raw', '-A', 'PREROUTING', '-j', 'ACCEPT')
      const other = variant === 'nft' ? 'legacy' : 'nft'
      execFileSync(`iptables-${other}`, ['-A', 'INPUT', '-j', 'ACCEPT'])
      execFileSync(`iptables-${other}`, ['-F'])
      t.strictSame(await silence(), [])
      for (const family of families) t.ok(watch.untouched(family, signal))
    })

    t.test('reading is not reported', async (t) => {
      for (const family of families) {
        await world.clients[family].save(signal)
        iptables(family, '-t', 'nat', '-L', '-n')
      }
      t.strictSame(await silence(), [])
    })
  })

t.test('legacy: a foreign write while ours waits for the lock', async (t) => {
  const { watch, write, soon, compareAll } = open('legacy')
  t.teardown(() => watch.close())
  await write('IPv4', ours)
  compareAll()
  let writing: Promise<void> | undefined
  await withXtablesLock(1000, signal, async () => {
    writing = write('IPv4', touch(2))
    // The lock is ours, so this one is told to lock something else.
    const env = { ...process.env, XTABLES_LOCKFILE: '/dev/null' }
    execFileSync('iptables-legacy', ['-t', 'nat', '-F', 'KUBE-X'], { env })
  })
  await writing
  t.strictSame(await soon(), ['IPv4'])
})

t.test('nft: a foreign write while a big one of ours runs', async (t) => {
  const { watch, write, soon, compareAll, iptables } = open('nft')
  t.teardown(() => watch.close())
  compareAll()
  const change: TableChange = { table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-X' }, ...rules(20_000)] }
  const writing = write('IPv4', [change], 4 << 20)
  iptables('IPv6', '-N', `KUBE-${Date.now()}`)
  await writing
  t.strictSame(await soon(), ['IPv4', 'IPv6'], 'whose it was cannot be told')
})

t.test('legacy: looking creates no tables', async (t) => {
  execFileSync('unshare', [
    '-n',
    process.execPath,
    '--input-type=module',
    '-e',
    `
    import { readFileSync } from 'node:fs'
    import { openRulesetWatch } from ${JSON.stringify(new URL('../../src/kernel/iptables/open-ruleset-watch.js', import.meta.url).href)}
    const watch = openRulesetWatch({ variant: 'legacy', families: ['IPv4', 'IPv6'], onForeignWrite: () => { throw new Error('news') } })
    watch.untouched('IPv4', new AbortController().signal)
    const names = ['ip', 'ip6'].map((ip) => readFileSync('/proc/net/' + ip + '_tables_names', 'utf8')).join('')
    watch.close()
    if (names !== '') throw new Error(names)
  `,
  ])
  t.pass()
})

t.test('nft: who writes to chains of his own is no news', async (t) => {
  const news: Family[] = []
  const watch = openRulesetWatch({
    variant: 'nft',
    families,
    intervalMs: lookEveryMs,
    onForeignWrite: (family) => news.push(family),
    concerns: concernsUs,
  })
  t.teardown(() => watch.close())
  for (const family of families) watch.compared(family, signal)
  const iptables = (...args: string[]): void => {
    execFileSync('iptables-nft', args, { stdio: 'pipe' })
    t.ok(watch.untouched('IPv6', signal), 'the other family is not meant')
  }
  iptables('-N', 'cali-FORWARD')
  iptables('-A', 'cali-FORWARD', '-j', 'ACCEPT')
  iptables('-t', 'nat', '-N', 'MY-KUBE-SVC')
  t.ok(watch.untouched('IPv4', signal))
  t.same(news, [])
  iptables('-A', 'FORWARD', '-j', 'cali-FORWARD')
  t.notOk(watch.untouched('IPv4', signal), 'a built-in chain may have lost a jump to ours')
  watch.compared('IPv4', signal)
  iptables('-t', 'nat', '-N', 'KUBE-SVC-AAAAAAAAAAAAAAAA')
  t.notOk(watch.untouched('IPv4', signal))
  t.same(new Set(news), new Set(['IPv4']))
})
