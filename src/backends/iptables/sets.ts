import type { SetType } from '../../kernel/ipset/ipset.ts'
import type { Family } from '../../model/ip.ts'
import type { SetSchema } from '../rules/set-schema.ts'

interface SetDescription {
  readonly type: SetType
  /** What a member stands for; `ipset list` does not show it, ARCHITECTURE.md does. */
  readonly holds: string
}

/** Everything that the ipset layout keeps in sets, by what the set decides. */
export const setRoles = {
  'CLUSTER-IP': { type: 'hash:ip,port', holds: 'cluster IPs whose traffic from outside the cluster is masqueraded' },
  EXTERNAL: {
    type: 'hash:ip,port',
    holds: 'external addresses whose traffic is masqueraded: policy Cluster, no source ranges',
  },
  'LOOP-BACK': { type: 'hash:ip,port,ip', holds: 'endpoints that may reach themselves' },
  REJECT: { type: 'hash:ip,port', holds: 'cluster IPs without endpoints' },
  DROP: { type: 'hash:ip,port', holds: 'cluster IPs of policy Local without local endpoints' },
  'EXT-REJECT': { type: 'hash:ip,port', holds: 'external addresses without endpoints' },
  'EXT-DROP': { type: 'hash:ip,port', holds: 'external addresses of policy Local without local endpoints' },
  'LB-FW': { type: 'hash:ip,port', holds: 'load balancer addresses with source ranges' },
  'LB-SOURCE': { type: 'hash:ip,port,net', holds: 'who may use them' },
  'NP-TCP': { type: 'bitmap:port', holds: 'TCP NodePorts with endpoints' },
  'NP-UDP': { type: 'bitmap:port', holds: 'UDP NodePorts with endpoints' },
  'NP-MASQ-TCP': { type: 'bitmap:port', holds: 'TCP NodePorts whose traffic is masqueraded: policy Cluster' },
  'NP-MASQ-UDP': { type: 'bitmap:port', holds: 'UDP NodePorts whose traffic is masqueraded: policy Cluster' },
  'NP-REJECT-TCP': { type: 'bitmap:port', holds: 'TCP NodePorts without endpoints' },
  'NP-REJECT-UDP': { type: 'bitmap:port', holds: 'UDP NodePorts without endpoints' },
  'NP-DROP-TCP': { type: 'bitmap:port', holds: 'TCP NodePorts of policy Local without local endpoints' },
  'NP-DROP-UDP': { type: 'bitmap:port', holds: 'UDP NodePorts of policy Local without local endpoints' },
  'HEALTH-CHECK': { type: 'bitmap:port', holds: 'health check NodePorts' },
} as const satisfies Readonly<Record<string, SetDescription>>

export type SetRole = keyof typeof setRoles

export const setNamePrefix = (family: Family): string => `WEIR-${family === 'IPv4' ? '4' : '6'}-`

/** Shorter than IPSET_MAXNAMELEN (32), with room for a suffix. */
export const setName = (role: SetRole, family: Family): string => `${setNamePrefix(family)}${role}`

export const allSetRoles: readonly SetRole[] = Object.keys(setRoles).filter((role): role is SetRole => role in setRoles)

export const setSchema = (family: Family): SetSchema<SetRole> => ({
  family,
  roles: allSetRoles,
  ref: (role) => ({ name: setName(role, family), type: setRoles[role].type, family }),
  owns: (name) => name.startsWith(setNamePrefix(family)),
  spare: `${setNamePrefix(family)}GROWN`,
})
