import { describe, expect, it } from 'vitest'
import { applyConntrack } from '../../../src/cli/conntrack.ts'
import { FatalError } from '../../../src/cli/fatal.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { FakeSysctl } from '../../../src/kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../../src/kernel/sysctl/sysctl-error.ts'

const { signal } = new AbortController()
const name = 'net/netfilter/nf_conntrack_tcp_be_liberal'

const apply = (sysctl: FakeSysctl, ...flags: readonly string[]): Promise<boolean> =>
  applyConntrack(loadConfig(parseCommandLine(flags), undefined).config, sysctl, signal)

describe.each(['nftables', 'iptables'])('mode %s', (mode) => {
  const liberal = [`--proxy-mode=${mode}`, '--conntrack-tcp-be-liberal']

  it('is liberal when it is asked to be', async () => {
    const sysctl = new FakeSysctl({ [name]: 0 })
    expect(await apply(sysctl, ...liberal)).toBe(true)
    expect(sysctl.writes).toEqual([[name, '1']])
  })

  it('leaves the kernel as it is otherwise, and does not write what is right', async () => {
    const [lenient, strict] = [new FakeSysctl({ [name]: 1 }), new FakeSysctl({ [name]: 0 })]
    expect(await apply(lenient, ...liberal)).toBe(true)
    expect(await apply(lenient, `--proxy-mode=${mode}`)).toBe(false)
    expect(await apply(strict, `--proxy-mode=${mode}`)).toBe(false)
    expect([...lenient.writes, ...strict.writes]).toEqual([])
  })

  it('ends the process when it cannot be', async () => {
    const readOnly = new FakeSysctl({ [name]: 0 })
    readOnly.write = () => Promise.reject(new SysctlError('denied', `write ${name} = 1`, 'EROFS'))
    const why = `cannot do what conntrack.tcpBeLiberal asks for: write ${name} = 1: EROFS`
    await expect(apply(readOnly, ...liberal)).rejects.toThrow(new FatalError(why))
    await expect(apply(new FakeSysctl(), ...liberal)).rejects.toBeInstanceOf(FatalError)
  })
})
