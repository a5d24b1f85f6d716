import type { SetRef } from '../../kernel/ipset/ipset.ts'
import type { Family } from '../../model/ip.ts'
import type { SetSchema } from '../rules/set-schema.ts'
import { allSetRoles, type SetRole, setName, setRoles } from './sets.ts'

export const setSchema = (family: Family): SetSchema<SetRole> => {
  const spare = family === 'IPv4' ? 'WEIR-IPVS-GROWN' : 'WEIR-6-IPVS-GROWN'
  return {
    family,
    roles: allSetRoles,
    ref: (role) => setRef(role, family),
    // Other names that begin like ours are another mode's.
    owns: (name) => name === spare,
    spare,
  }
}

const setRef = (role: SetRole, family: Family): SetRef => {
  const { type } = setRoles[role]
  const ref = { name: setName(role, family), type, family }
  return 'marks' in setRoles[role] ? { ...ref, marks: true } : ref
}
