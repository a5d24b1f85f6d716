import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeProgram, fakeRun } from '../exec/fake-run.ts'
import { detectVariant } from './detect-variant.ts'
import { IptablesClient } from './iptables-client.ts'
import { findTools, type IptablesTool, kernelObstacle } from './probe.ts'
import { isAtLeast, parseVersion, toolFeatures } from './version.ts'

const { signal } = new AbortController()

describe('parseVersion', () => {
  it.each([
    ['iptables v1.8.9 (nf_tables)\n', '1.8.9', 'nft'],
    ['ip6tables v1.8.10 (legacy)\n', '1.8.10', 'legacy'],
    ['iptables v1.6.1\n', '1.6.1', 'legacy'],
    ['iptables-nft-restore v1.8.9 (nf_tables)', '1.8.9', 'nft'],
    ['# a warning\niptables v1.9 (nf_tables)\n', '1.9', 'nft'],
    ['iptables v1.4.19.1\n', '1.4.19.1', 'legacy'],
  ])('%j', (output, text, variant) => {
    expect(parseVersion(output)).toMatchObject({ text, variant })
  })

  it('gives up on anything else', () => {
    expect(parseVersion('nftables v1.0.6 (Lester Gooch #5)')).toBeUndefined()
    expect(parseVersion('')).toBeUndefined()
  })

  it.each([
    ['1.6.2', true],
    ['1.6.1', false],
    ['1.8', true],
    ['1.10.0', true],
    ['2.0', true],
    ['1.4.21', false],
  ])('%s knows --random-fully and waits: %s', (text, can) => {
    const version = parseVersion(`iptables v${text}`)
    expect(version === undefined || isAtLeast(version, [1, 6, 2])).toBe(can)
    expect(toolFeatures(version)).toMatchObject({ randomFully: can, restoreWaits: can })
  })

  it('expects the newest of a version that cannot be read', () => {
    expect(toolFeatures(undefined)).toEqual({ randomFully: true, restoreWaits: true, otherLockFile: true })
  })
})

const version =
  (text: string): FakeProgram =>
  () =>
    `iptables v${text}\n`

describe('findTools', () => {
  it('finds none', async () => {
    expect(await findTools('IPv4', signal, fakeRun({ 'ip6tables-nft': version('1.8.9 (nf_tables)') }).run)).toEqual(
      new Map(),
    )
  })

  it('prefers the names that say the variant', async () => {
    const { run } = fakeRun({
      iptables: version('1.8.9 (nf_tables)'),
      'iptables-nft': version('1.8.9 (nf_tables)'),
      'iptables-legacy': version('1.8.9 (legacy)'),
    })
    const tools = await findTools('IPv4', signal, run)
    expect([...tools.values()].map(({ program }) => program)).toEqual(['iptables-legacy', 'iptables-nft'])
  })

  it.each([
    ['1.8.9 (nf_tables)', 'nft'],
    ['1.6.1', 'legacy'],
  ] as const)('takes the plain name for %s', async (text, variant) => {
    const tools = await findTools('IPv6', signal, fakeRun({ ip6tables: version(text) }).run)
    expect([...tools.keys()]).toEqual([variant])
    expect(tools.get(variant)).toMatchObject({ program: 'ip6tables', variant, family: 'IPv6' })
  })

  it('adds the plain name to what is there', async () => {
    const { run } = fakeRun({ 'iptables-nft': version('1.8.9 (nf_tables)'), iptables: version('1.8.9 (legacy)') })
    expect((await findTools('IPv4', signal, run)).get('legacy')?.program).toBe('iptables')
  })
})

const rules = (table: string, count: number): string =>
  `*${table}\n:X - [0:0]\n${'-A X -j ACCEPT\n'.repeat(count)}COMMIT\n`
const nft = version('1.8.9 (nf_tables)')

describe('detectVariant', () => {
  it('has nothing to detect', async () => {
    expect(await detectVariant(['IPv4'], signal, fakeRun({}).run)).toBeUndefined()
  })

  it('takes the only one there is', async () => {
    const { run } = fakeRun({
      iptables: nft,
      'iptables-save': () => rules('nat', 2),
      ip6tables: nft,
      'ip6tables-save': () => '',
    })
    const found = await detectVariant(['IPv4', 'IPv6'], signal, run)
    expect(found?.variant).toBe('nft')
    expect(found?.remarks).toEqual([])
    expect([...(found?.tools.values() ?? [])].map(({ program }) => program)).toEqual(['iptables', 'ip6tables'])
  })

  it('lives with a family that cannot be read', async () => {
    const refusing = (): { status: number; stdout: string; stderr: string } => ({
      status: 4,
      stdout: '',
      stderr: 'Protocol not supported',
    })
    const { run } = fakeRun({
      'iptables-nft': nft,
      'iptables-nft-save': () => '',
      'ip6tables-nft': nft,
      'ip6tables-nft-save': refusing,
    })
    const found = await detectVariant(['IPv4', 'IPv6'], signal, run)
    expect(found?.variant).toBe('nft')
    expect(found?.remarks).toEqual(['rules cannot be read: ip6tables-nft-save -c: Protocol not supported'])
    await expect(detectVariant(['IPv6'], signal, run)).rejects.toMatchObject({ code: 'rejected' })
  })
})

describe('lock flags', () => {
  const lock = join(tmpdir(), `weir-lock-${process.pid}`)
  afterEach(() => {
    delete process.env['XTABLES_LOCKFILE']
    rmSync(lock, { force: true })
  })

  it('are not for a program that does not know them: then the lock is ours to take', async () => {
    process.env['XTABLES_LOCKFILE'] = lock
    const locked: boolean[] = []
    const { run, calls } = fakeRun({
      'iptables-restore': () => {
        locked.push(existsSync(lock))
        return ''
      },
    })
    const old = parseVersion('iptables v1.6.1')
    const client = new IptablesClient('legacy', 'IPv4', { run, program: 'iptables', ...(old && { version: old }) })
    await client.restore([{ table: 'nat', statements: [] }], signal)
    expect(calls).toEqual([['iptables-restore', '--noflush', '--counters']])
    expect(locked).toEqual([true])
  })

  it.each([
    ['1.8.9 (nf_tables)', 'nft', ['iptables-restore', '-w', '5', '--noflush', '--counters']],
    ['1.6.2', 'nft', ['iptables-restore', '-w', '5', '--noflush', '--counters']],
  ] as const)('of %s', async (text, variant, command) => {
    const { run, calls } = fakeRun({ 'iptables-restore': () => '' })
    const known = parseVersion(`iptables v${text}`)
    const options = known === undefined ? {} : { version: known }
    const client = new IptablesClient(variant, 'IPv4', { run, program: 'iptables', ...options })
    await client.restore([{ table: 'nat', statements: [] }], signal)
    expect(calls).toEqual([command])
  })
})

describe('kernelObstacle', () => {
  const folders: string[] = []
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })

  const kernel = (files: Readonly<Record<string, string>>) => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-probe-'))
    folders.push(folder)
    const all = { 'proc/sys/kernel/osrelease': '6.1.0\n', 'proc/net/if_inet6': '', 'proc/self/status': root, ...files }
    for (const [name, text] of Object.entries(all)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    return { proc: join(folder, 'proc'), modules: join(folder, 'modules') }
  }
  const root = 'CapEff:\t000001ffffffffff\n'
  const tool = (variant: 'legacy' | 'nft', family: 'IPv4' | 'IPv6' = 'IPv4'): IptablesTool => ({
    ...{ variant, family, program: 'iptables', version: undefined, features: toolFeatures(undefined) },
  })
  const modules = {
    'modules/6.1.0/modules.builtin': 'kernel/net/netfilter/x_tables.ko\nkernel/net/ipv4/netfilter/iptable_filter.ko\n',
    'modules/6.1.0/modules.dep': 'kernel/net/ipv4/netfilter/ip_tables.ko.xz: kernel/net/netfilter/x_tables.ko.xz\n',
  }
  const tables = ['filter', 'nat'] as const

  it.each([
    [
      'no rights',
      tool('legacy'),
      { 'proc/self/status': 'CapEff:\t0000000000000000\n' },
      /no permission: CAP_NET_ADMIN/,
    ],
    ['a missing table', tool('legacy'), modules, /no table nat \(module iptable_nat\)/],
    ['a table in use', tool('legacy'), { ...modules, 'proc/net/ip_tables_names': 'nat\n' }, undefined],
    [
      'a module to load',
      tool('legacy'),
      { ...modules, 'modules/6.1.0/modules.dep': 'a/ip_tables.ko:\na/iptable_nat.ko.zst: b\n' },
      undefined,
    ],
    [
      'no x_tables',
      tool('legacy'),
      { 'modules/6.1.0/modules.builtin': '', 'modules/6.1.0/modules.dep': '' },
      /no module ip_tables/,
    ],
    ['no module lists', tool('legacy'), {}, undefined],
    [
      'of IPv6',
      tool('legacy', 'IPv6'),
      { ...modules, 'proc/net/ip6_tables_names': 'filter\n' },
      /no table nat \(module ip6table_nat\)/,
    ],
  ] as const)('legacy: %s', async (_name, of, files, reason) => {
    const found = await kernelObstacle(of, tables, signal, kernel(files))
    if (reason === undefined) expect(found).toBeUndefined()
    else expect(found).toMatch(reason)
  })

  it('says so without IPv6', async () => {
    const source = kernel({})
    rmSync(join(source.proc, 'net/if_inet6'))
    expect(await kernelObstacle(tool('nft', 'IPv6'), tables, signal, source)).toMatch(/no IPv6/)
  })

  it('asks the nft variant, without a commit', async () => {
    const { run, calls } = fakeRun({
      'iptables-restore': (_args, input) =>
        input === '*filter\nCOMMIT\n*nat\nCOMMIT\n'
          ? ''
          : { status: 1, stdout: '', stderr: 'iptables-restore: no raw' },
    })
    const source = { ...kernel({}), run, tableFamily: async () => undefined }
    expect(await kernelObstacle(tool('nft'), tables, signal, source)).toBeUndefined()
    expect(await kernelObstacle(tool('nft'), ['raw'], signal, source)).toBe('iptables-restore: no raw')
    expect(calls[0]).toEqual(['iptables-restore', '-w', '5', '--noflush', '--test'])
  })

  it('knows a kernel that lists nf_tables and makes no table', async () => {
    const { run, calls } = fakeRun({ 'iptables-restore': () => '' })
    const tableFamily = async (family: string) => `no ${family}`
    const source = { ...kernel({}), run, tableFamily }
    expect(await kernelObstacle(tool('nft'), tables, signal, source)).toBe('no ip')
    expect(await kernelObstacle(tool('nft', 'IPv6'), tables, signal, source)).toBe('no ip6')
    expect(calls).toEqual([])
  })
})
