import { describe, expect, it } from 'vitest'
import { applyConntrack, type ConntrackReport, limitFor } from '../../../src/cli/conntrack.ts'
import type { ConntrackKernel } from '../../../src/cli/conntrack-kernel.ts'
import { FatalError } from '../../../src/cli/fatal.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { FakeSysctl } from '../../../src/kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../../src/kernel/sysctl/sysctl-error.ts'

const { signal } = new AbortController()
const nf = (name: string): string => `net/netfilter/nf_conntrack_${name}`
const hashSize = 'nf_conntrack/parameters/hashsize'

/** As a kernel has it after boot. */
const fresh = {
  [nf('max')]: 262_144,
  [nf('tcp_timeout_established')]: 432_000,
  [nf('tcp_timeout_close_wait')]: 60,
  [nf('tcp_be_liberal')]: 0,
  [nf('udp_timeout')]: 30,
  [nf('udp_timeout_stream')]: 120,
}

interface Fake extends ConntrackKernel {
  readonly sysctl: FakeSysctl
  readonly modules: FakeSysctl
}

const kernel = (over: Partial<Fake> = {}): Fake => ({
  sysctl: new FakeSysctl(fresh),
  modules: new FakeSysctl({ [hashSize]: 65_536 }),
  processors: async () => 8,
  ownsLimit: async () => true,
  load: async () => {},
  ...over,
})

const apply = (of: ConntrackKernel, ...flags: readonly string[]): Promise<ConntrackReport> =>
  applyConntrack(loadConfig(parseCommandLine(flags), undefined).config, of, signal)

const nothing = [
  '--conntrack-max-per-core=0',
  '--conntrack-tcp-timeout-established=0',
  '--conntrack-tcp-timeout-close-wait=0',
]

const readOnly = (values: Readonly<Record<string, number>>): FakeSysctl => {
  const sysctl = new FakeSysctl(values)
  sysctl.write = (name, value) => Promise.reject(new SysctlError('denied', `write ${name} = ${value}`, 'EROFS'))
  return sysctl
}

describe.each(['nftables', 'iptables', 'ipvs', 'userspace'])('mode %s', (mode) => {
  const flag = `--proxy-mode=${mode}`

  it("sets kube-proxy's defaults, and not a second time", async () => {
    const node = kernel()
    const done = [
      'nf_conntrack_max is 262144',
      'tcp_timeout_established is 86400 s',
      'tcp_timeout_close_wait is 3600 s',
    ]
    expect(await apply(node, flag)).toEqual({ done, remarks: [] })
    const writes = [
      [nf('tcp_timeout_established'), '86400'],
      [nf('tcp_timeout_close_wait'), '3600'],
    ]
    expect(node.sysctl.writes).toEqual(writes)
    expect(await apply(node, flag)).toEqual({ done, remarks: [] })
    expect(node.sysctl.writes).toEqual(writes)
    expect(node.modules.writes).toEqual([])
  })

  it('leaves alone what is 0, and looks at nothing then', async () => {
    expect(await apply(kernel({ sysctl: new FakeSysctl(), modules: new FakeSysctl() }), flag, ...nothing)).toEqual({
      done: [],
      remarks: [],
    })
  })
})

describe('each setting', () => {
  it.each([
    ['--conntrack-tcp-timeout-established=90s', 'tcp_timeout_established', '90'],
    ['--conntrack-tcp-timeout-close-wait=2m', 'tcp_timeout_close_wait', '120'],
    ['--conntrack-udp-timeout=1.9s', 'udp_timeout', '1'],
    ['--conntrack-udp-timeout-stream=100ms', 'udp_timeout_stream', '1'],
    ['--conntrack-tcp-be-liberal', 'tcp_be_liberal', '1'],
  ])('%s', async (flag, name, value) => {
    const node = kernel()
    const { done } = await apply(node, ...nothing, flag)
    expect(node.sysctl.writes).toEqual([[nf(name), value]])
    expect(done).toEqual([name === 'tcp_be_liberal' ? 'tcp_be_liberal is on' : `${name} is ${value} s`])
  })

  it('is never switched back: a kernel that is liberal stays so', async () => {
    const node = kernel({ sysctl: new FakeSysctl({ ...fresh, [nf('tcp_be_liberal')]: 1 }) })
    await apply(node)
    expect(await node.sysctl.read(nf('tcp_be_liberal'), signal)).toBe('1')
  })
})

describe('the limit', () => {
  it.each([
    [32_768, 131_072, 2, 131_072],
    [32_768, 131_072, 8, 262_144],
    [32_768, 131_072, 32, 1_048_576],
    [32_768, 131_072, 33, 1_048_576],
    [32_768, 2_000_000, 64, 1_048_576],
    [32_768, 2_000_000, 32, 2_000_000],
    [1, 0, 4, 4],
  ])('%i for each processor, at least %i, %i processors: %i', (maxPerCore, min, processors, limit) => {
    expect(limitFor(maxPerCore, min, processors)).toBe(limit)
  })

  it('is lowered, too, and the hash table only raised', async () => {
    const low = kernel({ processors: async () => 2 })
    await apply(low)
    expect(low.sysctl.writes[0]).toEqual([nf('max'), '131072'])
    expect(low.modules.writes).toEqual([])
    const high = kernel({ processors: async () => 32 })
    await apply(high)
    expect(high.sysctl.writes[0]).toEqual([nf('max'), '1048576'])
    expect(high.modules.writes).toEqual([[hashSize, '262144']])
  })

  it("is the whole host's: where this network namespace cannot set it, it stays", async () => {
    const ownsLimit = async (): Promise<boolean> => false
    const enough = kernel({ ownsLimit, processors: async () => 2 })
    expect((await apply(enough)).done[0]).toBe('nf_conntrack_max stays at 262144')
    const less = kernel({ ownsLimit, processors: async () => 16 })
    expect((await apply(less)).done[0]).toBe(
      'nf_conntrack_max stays at 262144 instead of 524288, because it belongs to the whole host and cannot be set in this network namespace',
    )
    expect([...enough.sysctl.writes, ...less.sysctl.writes].filter(([name]) => name === nf('max'))).toEqual([])
    expect(less.modules.writes).toEqual([])
  })
})

describe('what cannot be set', () => {
  it.each([
    ['--conntrack-max-per-core=1', `write ${nf('max')} = 131072`, 'conntrack.maxPerCore', '0'],
    ['--conntrack-udp-timeout=5s', `write ${nf('udp_timeout')} = 5`, 'conntrack.udpTimeout', '0s'],
    ['--conntrack-tcp-be-liberal', `write ${nf('tcp_be_liberal')} = 1`, 'conntrack.tcpBeLiberal', 'false'],
  ])('%s: ends the process, with a way out', async (flag, op, field, off) => {
    const way = `--init-only in a privileged init container sets it beforehand, ${field}: ${off} leaves it alone`
    await expect(apply(kernel({ sysctl: readOnly(fresh) }), ...nothing, flag)).rejects.toThrow(
      new FatalError(`cannot do what ${field} asks for: ${op}: EROFS; ${way}`),
    )
  })

  it('needs no right when it is right already', async () => {
    const set = { ...fresh, [nf('tcp_timeout_established')]: 86_400, [nf('tcp_timeout_close_wait')]: 3600 }
    const node = kernel({ sysctl: readOnly(set), modules: readOnly({ [hashSize]: 65_536 }) })
    expect((await apply(node)).done).toHaveLength(3)
  })

  it('ends the process when the hash table cannot grow', async () => {
    const node = kernel({ modules: readOnly({ [hashSize]: 5 }) })
    await expect(apply(node)).rejects.toThrow(
      /conntrack\.maxPerCore asks for: write nf_conntrack\/parameters\/hashsize = 65536: EROFS/,
    )
  })

  it('is only said in mode userspace, which needs no privilege', async () => {
    const { done, remarks } = await apply(kernel({ sysctl: readOnly(fresh) }), '--proxy-mode=userspace')
    expect(done).toEqual(['nf_conntrack_max is 262144'])
    expect(remarks).toEqual([
      `cannot do what conntrack.tcpEstablishedTimeout asks for: write ${nf('tcp_timeout_established')} = 86400: EROFS`,
      `cannot do what conntrack.tcpCloseWaitTimeout asks for: write ${nf('tcp_timeout_close_wait')} = 3600: EROFS`,
    ])
  })
})

describe('connection tracking that is not loaded', () => {
  it('is loaded first', async () => {
    let loaded = new FakeSysctl()
    const sysctl = new FakeSysctl()
    sysctl.read = (name, during) => loaded.read(name, during)
    sysctl.write = (name, value, during) => loaded.write(name, value, during)
    const node = kernel({
      sysctl,
      load: async () => {
        loaded = new FakeSysctl(fresh)
      },
    })
    expect((await apply(node)).done).toHaveLength(3)
    expect(loaded.writes).toHaveLength(2)
  })

  it('ends the process where there is none', async () => {
    await expect(apply(kernel({ sysctl: new FakeSysctl() }))).rejects.toThrow(
      'cannot do what conntrack.maxPerCore asks for: read net/netfilter/nf_conntrack_max: ENOENT; conntrack.maxPerCore: 0 leaves it alone',
    )
  })
})
