import type { Family } from '../../model/ip.ts'
import type { SetSchema } from '../rules/set-schema.ts'
import { allSetRoles, type SetRole, setName, setRoles } from './sets.ts'

const setMarks = (role: SetRole): { readonly marks?: true } => ('marks' in setRoles[role] ? { marks: true } : {})

export const setSchema = (family: Family): SetSchema<SetRole> => {
  const spare = family === 'IPv4' ? 'WEIR-GROWN' : 'WEIR-6-GROWN'
  const refs = new Map(
    allSetRoles.map(
      (role) =>
        [...[role, { name: setName(role, family), type: setRoles[role].type, family, ...setMarks(role) }]] as const,
    ),
  )
  return {
    ...{ family, roles: allSetRoles, spare },
    ref: (role) => refs.get(role) ?? { name: setName(role, family), type: setRoles[role].type, family },
    // Other names that begin like ours are of mode iptables: clean-up of modes knows them.
    owns: (name) => name === spare,
  }
}
