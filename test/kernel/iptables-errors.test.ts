/** What the real tools say to refused input, to a held lock and to a caller without rights, and what becomes of it. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { run } from '../../src/kernel/exec/run.ts'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { IptablesError } from '../../src/kernel/iptables/iptables-error.ts'
import type { Statement, TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { parseVersion } from '../../src/kernel/iptables/version.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const chain = (name: string, tag?: unknown): Statement => ({ kind: 'chain', chain: name, tag })
const append = (name: string, words: string, tag?: unknown): Statement => ({
  kind: 'append',
  chain: name,
  rule: ruleText(...words.split(' ')),
  tag,
})
/** A table before the one with the error, so that lines count across tables. */
const before: TableChange = { table: 'filter', statements: [chain('KUBE-A'), append('KUBE-A', '-j ACCEPT', 'other')] }

const refusal = async (variant: Variant, family: Family, changes: readonly TableChange[]): Promise<IptablesError> => {
  try {
    await new IptablesClient(variant, family).restore(changes, signal)
  } catch (error) {
    if (error instanceof IptablesError) return error
    throw error
  }
  throw new Error('not refused')
}

interface Refused {
  readonly name: string
  readonly statements: readonly Statement[]
  /** Of the input that begins with `before`; by variant where they differ. */
  readonly line: Readonly<Record<Variant, number>>
  readonly tag: Readonly<Record<Variant, unknown>>
}
const both = <T>(value: T): Readonly<Record<Variant, T>> => ({ legacy: value, nft: value })

const refused: readonly Refused[] = [
  {
    name: 'an address that is none',
    statements: [
      chain('KUBE-B'),
      append('KUBE-B', '-d 300.1.1.1 -j ACCEPT', 'bad'),
      append('KUBE-B', '-j ACCEPT', 'good'),
    ],
    ...{ line: both(7), tag: both('bad') },
  },
  {
    name: 'an unknown match',
    statements: [
      chain('KUBE-B'),
      append('KUBE-B', '-j ACCEPT', 'good'),
      append('KUBE-B', '-m nosuch -j ACCEPT', 'bad'),
    ],
    ...{ line: both(8), tag: both('bad') },
  },
  {
    name: 'a rule for a missing chain',
    statements: [chain('KUBE-B'), append('KUBE-GONE', '-j ACCEPT', 'bad'), append('KUBE-B', '-j ACCEPT', 'good')],
    ...{ line: both(7), tag: both('bad') },
  },
  {
    // The nft variant notices at COMMIT, and says only the name of the chain.
    name: 'a jump to a missing chain',
    statements: [chain('KUBE-B'), append('KUBE-B', '-j ACCEPT', 'good'), append('KUBE-B', '-j KUBE-GONE', 'bad')],
    ...{ line: both(8), tag: both('bad') },
  },
  {
    name: 'jumps of two to a missing chain',
    statements: [chain('KUBE-B'), append('KUBE-B', '-j KUBE-GONE', 'one'), append('KUBE-B', '-j KUBE-GONE', 'two')],
    ...{ line: both(7), tag: { legacy: 'one', nft: undefined } },
  },
  {
    name: 'the deletion of a rule that is not there',
    statements: [chain('KUBE-B'), { kind: 'delete', chain: 'KUBE-B', rule: ruleText('-j', 'ACCEPT'), tag: 'bad' }],
    ...{ line: both(7), tag: both('bad') },
  },
  {
    name: 'the deletion of a chain in use',
    statements: [
      chain('KUBE-B'),
      append('OUTPUT', '-j KUBE-B', 'good'),
      { kind: 'deleteChain', chain: 'KUBE-B', tag: 'bad' },
    ],
    ...{ line: both(8), tag: both('bad') },
  },
  {
    // Only the kernel knows that REJECT is not for this table: legacy names its COMMIT.
    name: 'a target that the kernel refuses',
    statements: [chain('KUBE-B'), append('KUBE-B', '-j REJECT', 'bad'), append('KUBE-B', '-j ACCEPT', 'good')],
    ...{ line: { legacy: 9, nft: 7 }, tag: { legacy: undefined, nft: 'bad' } },
  },
  {
    name: 'a loop',
    statements: [chain('KUBE-B'), append('KUBE-B', '-j KUBE-B', 'bad'), append('OUTPUT', '-j KUBE-B', 'bad')],
    ...{ line: { legacy: 9, nft: 8 }, tag: { legacy: undefined, nft: 'bad' } },
  },
]

for (const variant of variants)
  for (const family of families)
    t.test(`${variant} ${family}: refused`, async (t) => {
      for (const { name, statements, line, tag } of refused) {
        const error = await refusal(variant, family, [before, { table: 'nat', statements }])
        t.match(error, { code: 'rejected', line: line[variant], tag: tag[variant] }, `${name}: ${error.message}`)
        t.equal(error.tag, tag[variant], `${name}: for whom`)
      }
    })

for (const variant of variants)
  t.test(`${variant}: the message shows three lines on either side, cut short`, async (t) => {
    const long = ruleText('-m', 'comment', '--comment', 'x'.repeat(250), '-j', 'ACCEPT')
    const statements = Array.from({ length: 20 }, (_, i) => append('KUBE-B', `-p tcp --dport ${i + 1} -j ACCEPT`))
    const bad: Statement = { kind: 'append', chain: 'KUBE-B', rule: ruleText('-d', '1.2.3.4.5', '-j', 'ACCEPT') }
    const change: TableChange = {
      table: 'nat',
      statements: [chain('KUBE-B'), ...statements, bad, { kind: 'append', chain: 'KUBE-B', rule: long }, ...statements],
    }
    const { message, op } = await refusal(variant, 'IPv4', [change])
    const [said = '', ...shown] = message.slice(op.length + 2).split('\n')
    t.match(said, /host\/network `1\.2\.3\.4\.5' not found; Error occurred at line: 23$/)
    t.match(op, /-restore -w 5 --noflush --counters$/)
    t.strictSame(shown.slice(0, 4), [
      ...['  20: -A KUBE-B -p tcp --dport 18 -j ACCEPT', '  21: -A KUBE-B -p tcp --dport 19 -j ACCEPT'],
      ...['  22: -A KUBE-B -p tcp --dport 20 -j ACCEPT', '> 23: -A KUBE-B -d 1.2.3.4.5 -j ACCEPT'],
    ])
    t.equal(shown.length, 7)
    t.match(shown[4], /^ {2}24: .{200}…$/)
  })

t.test('what came before the refused table is committed', async (t) => {
  for (const variant of variants) {
    const client = new IptablesClient(variant, 'IPv4')
    const own: TableChange = { table: 'filter', statements: [chain(`KUBE-${variant}`)] }
    await t.rejects(client.restore([own, { table: 'nat', statements: [append('KUBE-GONE', '-j ACCEPT')] }], signal))
    const { tables } = await client.save(signal)
    t.ok(tables.find(({ name }) => name === 'filter')?.chains.has(`KUBE-${variant}`))
  }
})

t.test('nobody but root', async (t) => {
  const unprivileged: typeof run = (command, options) =>
    run(
      ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', '--reuid', '65534', '--clear-groups', ...command],
      options,
    )
  for (const variant of variants) {
    const client = new IptablesClient(variant, 'IPv4', { run: unprivileged })
    await t.rejects(client.save(signal), { code: 'permission' })
    await t.rejects(client.restore([before], signal), { code: 'permission' })
  }
})

t.test('a missing program', async (t) => {
  const client = new IptablesClient('nft', 'IPv4', { program: 'iptables-of-nobody' })
  await t.rejects(client.save(signal), { code: 'missing' })
  await t.rejects(client.restore([before], signal), { code: 'missing' })
})

/** Another program that has the xtables lock for a while. */
const hold = async (seconds: number): Promise<void> => {
  writeFileSync('/run/xtables.lock', '')
  const holder = spawn('flock', ['/run/xtables.lock', 'sh', '-c', `echo held; sleep ${seconds}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  t.teardown(() => {
    // The lock lives as long as the last process of the group.
    if (holder.pid !== undefined && holder.exitCode === null) process.kill(-holder.pid, 'SIGKILL')
  })
  await once(holder.stdout, 'data')
}

t.test('the xtables lock is waited for', async (t) => {
  await hold(1.5)
  const started = performance.now()
  await new IptablesClient('legacy', 'IPv4').restore([before], signal)
  t.ok(performance.now() - started > 1000, 'not before it was free')
  execFileSync('iptables-legacy', ['-C', 'KUBE-A', '-j', 'ACCEPT'])
})

t.test('a lock that stays', async (t) => {
  await hold(30)
  const witness = { started: () => {}, ended: () => {}, locked: () => {}, unlocking: () => {} }
  const old = parseVersion('iptables v1.6.1')
  const clients = [{ lockSeconds: 1 }, { lockSeconds: 1, witness }, { lockSeconds: 1, ...(old && { version: old }) }]
  for (const options of clients) {
    const client = new IptablesClient('legacy', 'IPv4', options)
    const started = performance.now()
    const error = await client.restore([before], signal).catch((cause: unknown) => cause)
    const waited = performance.now() - started
    t.match(error, { code: 'locked', message: /lock/, tag: undefined })
    t.match(String(error), / for 1 s| after 1s/)
    t.ok(waited > 900 && waited < 3000, `${waited} ms`)
    await t.rejects(
      client.update('filter', () => [chain('KUBE-A')], signal),
      { code: 'locked' },
    )
    t.equal((await client.save(signal)).tables.length > 0, true, 'reading needs no lock')
  }
  await new IptablesClient('nft', 'IPv4').restore([before], signal)
  t.pass('the nft variant has no lock')
})
