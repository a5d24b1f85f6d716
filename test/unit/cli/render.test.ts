import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { render } from '../../../src/cli/render.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'

const { signal } = new AbortController()

const manifests = `
kind: Service
apiVersion: v1
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.96.0.10
  type: NodePort
  ports: [{ port: 80, nodePort: 30080 }]
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: [10.244.0.1] }]
`

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-render-'))
  await writeFile(join(folder, 'all.yaml'), manifests)
})
afterAll(() => rm(folder, { recursive: true }))

const rendered = async (...flags: readonly string[]): Promise<{ text: string; warnings: readonly string[] }> => {
  const texts: string[] = []
  const warnings: string[] = []
  const { config } = loadConfig(parseCommandLine(['render', `--manifests=${folder}`, ...flags]), undefined)
  const output = { out: (part: string) => void texts.push(part), warn: (line: string) => void warnings.push(line) }
  await render(config, output, signal)
  return { text: texts.join(''), warnings }
}

describe('render in mode iptables', () => {
  const iptables = '--proxy-mode=iptables'

  it('prints input for iptables-restore of both families, or of one', async () => {
    const { text, warnings } = await rendered(iptables)
    expect(warnings).toEqual([])
    expect(text.match(/^\*nat$/gm)).toHaveLength(2)
    expect((await rendered(iptables, '--family=ipv4')).text.match(/^\*nat$/gm)).toHaveLength(1)
    expect(text).toMatch(/^-A KUBE-SERVICES -m comment --comment "shop\/web cluster IP" .* -j KUBE-SVC-[A-Z2-7]{16}$/m)
  })

  it('is for current tools and a kernel without nfacct', async () => {
    const { text } = await rendered(iptables)
    expect(text).toContain('-j MASQUERADE --random-fully')
    expect(text).not.toContain('nfacct')
  })

  it.each([
    [[], true],
    [['--conntrack-tcp-be-liberal'], false],
  ])('with %j: INVALID is dropped: %s', async (flags, expected) => {
    expect((await rendered(iptables, ...flags)).text.includes('--ctstate INVALID -j DROP')).toBe(expected)
  })

  it('serves NodePorts on localhost for IPv4, unless that is off', async () => {
    const gate = /^-A KUBE-SERVICES .*NOTE: this must be the last rule.*$/gm
    const gates = async (...flags: readonly string[]): Promise<readonly string[]> => [
      ...((await rendered(iptables, ...flags)).text.match(gate) ?? []),
    ]
    expect((await gates()).map((rule) => / ! -d (\S+)/.exec(rule)?.[1])).toEqual([undefined, '::1/128'])
    const off = await gates('--iptables-localhost-nodeports=false')
    expect(off.map((rule) => / ! -d (\S+)/.exec(rule)?.[1])).toEqual(['127.0.0.0/8', '::1/128'])
  })

  it('has weir’s own layouts where they are asked for', async () => {
    expect((await rendered(iptables)).text).not.toContain('WEIR-')
    expect((await rendered(iptables, '--iptables-ipset')).text).toContain('--match-set WEIR-4-')
    expect((await rendered('--proxy-mode=nftables', '--iptables-ipset')).text).toContain('table ip weir')
  })
})
