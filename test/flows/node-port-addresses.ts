/** Which addresses of the node take NodePorts: S2.6 to S2.8. */
import { type Cidr, parseCidr } from '../../src/model/cidr.ts'
import { parseIP } from '../../src/model/ip.ts'
import { type FlowTable, masqueraded, type Settings, to, toElsewhere, toNodeItself } from './flow.ts'
import { ipv4, ipv6, nets, nodePort, port } from './net.ts'
import { exposed, type Front, type Manifest, node, ready } from './objects.ts'

const cidrs = (...texts: readonly string[]): readonly Cidr[] =>
  texts.map((text) => {
    const cidr = parseCidr(text)
    if (cidr === undefined) throw new TypeError(`no network: ${text}`)
    return cidr
  })

/** Which addresses of the node take NodePorts: S2.6 to S2.8. */
export const nodePortAddresses: FlowTable = (net, protocol, traits) => {
  const objects = [exposed(net, protocol), ready(net, protocol, 'pod-1')]
  const first: Front = { what: 'first address', ip: net.at.node, port: nodePort }
  const second: Front = { what: 'second address', ip: net.nodeSecond, port: nodePort }
  const loopback: Front = { what: 'loopback', ip: net.loopback, port: nodePort }
  const other = net === ipv4 ? ipv6 : ipv4
  const taken = masqueraded('pod-1')
  const select = (nodePortAddresses: Settings['nodePortAddresses']): Partial<Settings> => ({ nodePortAddresses })
  const everywhere = [
    to(first, 'client', taken),
    to(second, 'client', taken),
    to(second, 'pod-2', taken),
    to(first, 'node', taken),
  ]
  const onLoopback = traits.localhostNodePorts && net === ipv4 ? taken : toNodeItself
  const secondNode = (addresses: readonly string[]): Manifest => node(nets, { addresses })
  return [
    {
      name: 'primary: the first address of the family alone',
      rules: ['S2.6', 'S2.8', 'S10.4'],
      settings: select('primary'),
      objects,
      packets: [to(first, 'client', taken), to(second, 'client', toNodeItself), to(second, 'node', toNodeItself)],
    },
    {
      name: 'primary is what the Node says, not what the device says',
      rules: ['S2.6', 'S2.8'],
      settings: select('primary'),
      objects: [secondNode([net.nodeSecond, net.at.node, other.at.node]), ...objects],
      packets: [to(second, 'client', taken), to(first, 'client', toNodeItself)],
    },
    {
      name: 'a bind address is the node IP',
      rules: ['S2.8'],
      settings: { ...select('primary'), bindAddress: parseIP(net.nodeSecond) },
      objects,
      packets: [to(second, 'client', taken), to(first, 'client', toNodeItself)],
    },
    {
      name: 'primary without a node IP of the family: every address',
      rules: ['S2.6'],
      settings: select('primary'),
      objects: [secondNode([other.at.node]), ...objects],
      packets: everywhere,
    },
    {
      name: 'an empty list: every address but loopback',
      rules: ['S2.6', 'S2.7'],
      settings: select([]),
      objects,
      packets: [...everywhere, to(loopback, 'node', onLoopback)],
    },
    {
      name: 'CIDRs: the addresses inside',
      rules: ['S2.6', 'S10.4'],
      settings: select(cidrs(`${net.nodeSecond}/${net.bits}`, other.everything)),
      objects,
      packets: [
        to(second, 'client', taken),
        to(second, 'node', taken),
        to(first, 'client', toNodeItself),
        to(first, 'node', toNodeItself),
      ],
    },
    {
      name: 'CIDRs of the other family alone: every address of this one',
      rules: ['S2.6'],
      settings: select(cidrs(`${other.nodeSecond}/${other.bits}`)),
      objects,
      packets: everywhere,
    },
    {
      name: '/0 beside another CIDR: every address, loopback excluded',
      rules: ['S2.6', 'S2.7'],
      settings: select(cidrs(`${net.nodeSecond}/${net.bits}`, net.everything)),
      objects,
      packets: [...everywhere, to(loopback, 'node', onLoopback)],
    },
    {
      name: 'CIDRs that hold loopback do not make it a NodePort address',
      rules: ['S2.7'],
      settings: select(cidrs(`${net.loopback}/${net.bits}`, `${net.at.node}/${net.bits}`)),
      objects,
      packets: [to(loopback, 'node', onLoopback), to(first, 'client', taken), to(second, 'client', toNodeItself)],
    },
    {
      name: 'CIDRs that match no interface: nowhere',
      rules: ['S2.6'],
      settings: select(cidrs(net.unrelated)),
      objects,
      packets: [
        to(first, 'client', toNodeItself),
        to(second, 'client', toNodeItself),
        to(first, 'node', toNodeItself),
        { from: 'client', to: net.vip(1), port, expect: taken },
      ],
    },
    {
      name: 'every address still means: of the node',
      rules: ['S2.2', 'S2.6'],
      settings: select([]),
      objects,
      packets: (['client', 'pod-2', 'node'] as const).map((from) => ({
        from,
        to: net.externalIP(9),
        port: nodePort,
        expect: toElsewhere,
      })),
    },
  ]
}
