import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeSysctl } from './fake-sysctl.ts'
import { ipv6Enabled } from './ipv6-enabled.ts'
import { isAtLeast, parseKernelVersion, readKernelVersion } from './kernel-version.ts'
import { conntrackHashsize, moduleParameters } from './module-parameters.ts'
import { writeOomScoreAdj } from './oom-score.ts'
import { ProcSysctl } from './proc-sysctl.ts'
import { countOfList, countProcessors } from './processors.ts'
import { ensureAtLeast, ensureInteger, readInteger, type Sysctl } from './sysctl.ts'

const signal = new AbortController().signal
let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sysctl-'))
})
afterAll(() => rm(root, { recursive: true }))

const values = { 'net/ipv4/ip_forward': 0, 'net/ipv4/conf/eth0.5/arp_ignore': 1, 'kernel/odd': 'a b' }

const inFolder = async (): Promise<Sysctl> => {
  for (const [name, value] of Object.entries(values)) {
    await mkdir(join(root, name, '..'), { recursive: true })
    await writeFile(join(root, name), `${value}\n`)
  }
  return new ProcSysctl(root)
}

describe.each([
  { kind: 'ProcSysctl', make: inFolder },
  { kind: 'FakeSysctl', make: async () => new FakeSysctl(values) },
])('$kind', ({ make }) => {
  it('reads and writes', async () => {
    const sysctl = await make()
    expect(await sysctl.read('kernel/odd', signal)).toBe('a b')
    expect(await readInteger(sysctl, 'net/ipv4/conf/eth0.5/arp_ignore', signal)).toBe(1)
    await sysctl.write('net/ipv4/ip_forward', 1, signal)
    expect(await readInteger(sysctl, 'net/ipv4/ip_forward', signal)).toBe(1)
  })

  it('writes only what differs', async () => {
    const sysctl = await make()
    expect(await ensureInteger(sysctl, 'net/ipv4/ip_forward', 1, signal)).toBe(true)
    expect(await ensureInteger(sysctl, 'net/ipv4/ip_forward', 1, signal)).toBe(false)
  })

  it('raises only what is lower', async () => {
    const sysctl = await make()
    expect(await ensureAtLeast(sysctl, 'net/ipv4/conf/eth0.5/arp_ignore', 1, signal)).toBe(false)
    expect(await ensureAtLeast(sysctl, 'net/ipv4/conf/eth0.5/arp_ignore', 2, signal)).toBe(true)
    expect(await ensureAtLeast(sysctl, 'net/ipv4/conf/eth0.5/arp_ignore', 1, signal)).toBe(false)
    expect(await readInteger(sysctl, 'net/ipv4/conf/eth0.5/arp_ignore', signal)).toBe(2)
  })

  it('creates nothing', async () => {
    const sysctl = await make()
    await expect(sysctl.read('net/none', signal)).rejects.toMatchObject({ code: 'missing', op: 'read net/none' })
    await expect(sysctl.write('net/none', 1, signal)).rejects.toMatchObject({ code: 'missing' })
  })

  it('refuses what is no number', async () => {
    await expect(readInteger(await make(), 'kernel/odd', signal)).rejects.toMatchObject({ code: 'invalid' })
  })

  it('stops when aborted', async () => {
    const sysctl = await make()
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(sysctl.read('kernel/odd', aborted)).rejects.toThrow('enough')
    await expect(sysctl.write('kernel/odd', 'x', aborted)).rejects.toThrow('enough')
  })
})

describe('ProcSysctl', () => {
  it.each(['', '/etc/passwd', '../etc/passwd', 'net/../../etc/passwd', 'net//ipv4'])(
    'refuses the name "%s"',
    async (name) => {
      await expect(new ProcSysctl().read(name, signal)).rejects.toMatchObject({ code: 'missing' })
    },
  )

  it('tells a value that the kernel refuses', async () => {
    const sysctl = new ProcSysctl()
    await expect(sysctl.write('kernel/osrelease', 'x', signal)).rejects.toMatchObject({ code: 'denied' })
  })
})

describe('kernel version', () => {
  it.each([
    ['6.18.44-fc-v657', { major: 6, minor: 18, patch: 44 }],
    ['5.15.0-91-generic', { major: 5, minor: 15, patch: 0 }],
    ['6.9-rc1', { major: 6, minor: 9, patch: 0 }],
    ['4.18.0-513.el8.x86_64', { major: 4, minor: 18, patch: 0 }],
    ['6.1.0+', { major: 6, minor: 1, patch: 0 }],
  ])('reads %s', (release, version) => {
    expect(parseKernelVersion(release)).toEqual(version)
  })

  it.each(['', 'linux', '6', '6.', 'v6.1'])('does not read "%s"', (release) => {
    expect(parseKernelVersion(release)).toBeUndefined()
  })

  it('compares', () => {
    const version = { major: 5, minor: 9, patch: 0 }
    expect(isAtLeast(version, 5, 9)).toBe(true)
    expect(isAtLeast(version, 5, 10)).toBe(false)
    expect(isAtLeast(version, 4, 18)).toBe(true)
    expect(isAtLeast(version, 6, 0)).toBe(false)
  })

  it('is read from the kernel', async () => {
    expect((await readKernelVersion(new ProcSysctl(), signal)).major).toBeGreaterThanOrEqual(4)
    await expect(readKernelVersion(new FakeSysctl({ 'kernel/osrelease': 'x' }), signal)).rejects.toMatchObject({
      code: 'invalid',
    })
  })
})

describe('ipv6Enabled', () => {
  const disabled = 'net/ipv6/conf/all/disable_ipv6'
  it.each([
    { name: 'on', sysctl: new FakeSysctl({ [disabled]: 0 }), addressList: '/dev/null', want: true },
    { name: 'switched off', sysctl: new FakeSysctl({ [disabled]: 1 }), addressList: '/dev/null', want: false },
    { name: 'no stack', sysctl: new FakeSysctl({ [disabled]: 0 }), addressList: '/nonexistent/if_inet6', want: false },
    { name: 'no parameter', sysctl: new FakeSysctl(), addressList: '/dev/null', want: false },
  ])('$name → $want', async ({ sysctl, addressList, want }) => {
    expect(await ipv6Enabled(signal, { sysctl, addressList })).toBe(want)
  })
})

describe('oom_score_adj', () => {
  it('is written', async () => {
    const before = (await readFile('/proc/self/oom_score_adj', 'utf8')).trim()
    await writeOomScoreAdj(Math.min(Number(before) + 1, 1000), signal)
    expect((await readFile('/proc/self/oom_score_adj', 'utf8')).trim()).toBe(String(Math.min(Number(before) + 1, 1000)))
  })

  it.each([-1001, 1001, 0.5, Number.NaN])('refuses %s', async (value) => {
    await expect(writeOomScoreAdj(value, signal, '/nonexistent')).rejects.toMatchObject({ code: 'rejected' })
  })
})

describe('parameters of modules', () => {
  it('are read and raised', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'module-'))
    await mkdir(join(folder, 'nf_conntrack/parameters'), { recursive: true })
    await writeFile(join(folder, conntrackHashsize), '16384\n')
    const modules = moduleParameters(folder)
    expect(await readInteger(modules, conntrackHashsize, signal)).toBe(16_384)
    expect(await ensureAtLeast(modules, conntrackHashsize, 16_384, signal)).toBe(false)
    expect(await ensureAtLeast(modules, conntrackHashsize, 65_536, signal)).toBe(true)
    expect(await readInteger(modules, conntrackHashsize, signal)).toBe(65_536)
    expect(await ensureAtLeast(modules, conntrackHashsize, 1, signal)).toBe(false)
    await rm(folder, { recursive: true })
  })

  it('are missing while the module is', async () => {
    await expect(moduleParameters().read('none/parameters/x', signal)).rejects.toMatchObject({ code: 'missing' })
  })
})

describe('processors', () => {
  it.each([
    ['0', 1],
    ['0-3', 4],
    ['0-3,5,8-11\n', 9],
    ['', undefined],
    ['3-0', undefined],
    ['0-', undefined],
    ['0,,1', undefined],
    ['all', undefined],
  ])('%j are %s', (text, count) => {
    expect(countOfList(text)).toBe(count)
  })

  it('are those of the machine, not those of this process', async () => {
    const found = (await readdir('/sys/devices/system/cpu')).filter((name) => /^cpu\d+$/.test(name))
    const offline = await Promise.all(
      found.map((name) => readFile(`/sys/devices/system/cpu/${name}/online`, 'utf8').catch(() => '1')),
    )
    expect(await countProcessors(signal)).toBe(offline.filter((text) => text.trim() === '1').length)
  })

  it('are counted otherwise where /sys does not tell', async () => {
    expect(await countProcessors(signal, '/nonexistent')).toBe(availableParallelism())
    expect(await countProcessors(signal, '/dev/null')).toBe(availableParallelism())
    await expect(countProcessors(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})
