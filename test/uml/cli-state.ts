/** For programs in the guest that try the whole program: a small cluster, and what there is in the kernel, by its own tools. */
import { readFileSync } from 'node:fs'
import { node, service, slice, writeManifests } from '../kernel/cli-manifests.ts'
import { runWeir, sh, temporaryFolder } from '../kernel/cli-program.ts'
import { writeComparison } from './comparison.ts'

const folder = temporaryFolder()
export const flags = ['--manifests', folder, '--hostname-override=guest', '--cluster-cidr=10.244.0.0/16,fd00:244::/64']
export const ipvs = ['--proxy-mode=ipvs', ...flags]

export const writeCluster = (pods: readonly string[]): void =>
  writeManifests(folder, 'cluster.yaml', [
    node('guest', { addresses: ['192.0.2.10', '2001:db8::10'] }),
    service('web', { ip: '10.96.0.10', nodePort: 30_080 }),
    slice('web', pods),
    service('dns', { ip: '10.96.0.11', port: 53, protocol: 'UDP', annotations: { 'weir.dev/scheduler': 'wlc' } }),
    slice('dns', ['10.244.0.9'], { port: 5353, protocol: 'UDP' }),
    service('six', { ip: 'fd00:96::10' }),
    slice('six', ['fd00:244::1'], { addressType: 'IPv6' }),
  ])

export const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')
export const servers = (): readonly string[] => [...lines(sh('ipvsadm -Sn'))].sort()
export const addresses = (): readonly string[] =>
  [...sh('ip -o addr show dev kube-ipvs0 2>/dev/null || true').matchAll(/inet6? (?!fe80:)(\S+)/g)]
    .map(([, cidr = '']) => cidr)
    .sort()
/** Rules and chains that are not built in, each with its program and table, in order. */
const rules = (): readonly string[] =>
  ['iptables', 'ip6tables'].flatMap((program) => {
    let table = ''
    return lines(sh(`${program}-legacy-save`).replace(/ \[\d+:\d+\]$/gm, '')).flatMap((line) => {
      if (line.startsWith('*')) table = line.slice(1)
      return /^(?:-A|:.* -$)/.test(line) ? [`${program} ${table} ${line}`] : []
    })
  })
/** Everything that a mode has in the kernel. */
export const state = () => ({
  servers: servers(),
  addresses: addresses(),
  device: sh('ip -br link show kube-ipvs0 2>/dev/null | wc -l').trim(),
  sets: lines(sh('ipset save').replace(/ (?:initval|hashsize) \S+/g, '')).toSorted(),
  rules: rules(),
})

const last = (text: string): string => lines(text).at(-1) ?? ''
export const sysctl = (name: string): string => readFileSync(`/proc/sys/${name}`, 'utf8').trim()

export const fails = async (name: string, args: readonly string[], line: string): Promise<void> => {
  const { status, stdout, stderr } = await runWeir(args)
  writeComparison(name, { status, stdout, last: last(stderr) }, { status: 1, stdout: '', last: `weir: ${line}` })
}

export const succeeds = async (name: string, args: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await runWeir(args)
  writeComparison(name, { status, stderr: status === 0 ? '' : stderr }, { status: 0, stderr: '' })
  return stdout + stderr
}

/** The node's own address. */
export const setUp = (): void => {
  sh(
    'ip link add node0 type bridge && ip addr add 192.0.2.10/24 dev node0 && ip addr add 2001:db8::10/64 dev node0 nodad',
  )
  sh('ip link set node0 up')
  writeCluster(['10.244.0.1', '10.244.0.2'])
}
