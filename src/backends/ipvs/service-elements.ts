import { ipPortMark } from '../../kernel/ipset/member.ts'
import type { SetElement } from '../rules/set-schema.ts'
import type { Laid } from './plan.ts'
import type { SetRole } from './sets.ts'

/** Every member that a service port needs, with the marks of INSIDE. */
export const elementsOf = ({ layout: { elements, inside }, mark }: Laid): readonly SetElement<SetRole>[] =>
  inside === undefined || mark === undefined
    ? elements
    : [
        ...elements,
        ...inside.fronts.map(({ ip, protocol, port }) => ({
          ...{ set: 'INSIDE' as const, member: ipPortMark(ip, protocol, port, mark) },
        })),
      ]
