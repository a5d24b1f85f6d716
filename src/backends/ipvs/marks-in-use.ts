import type { Member } from '../../kernel/ipset/member.ts'
import { ipPort } from '../../kernel/ipset/member.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import { memberKey, type SetSchema } from '../rules/set-schema.ts'
import { freeMarks } from './marks.ts'
import type { ObservedIpvs } from './observe.ts'
import type { Laid } from './plan.ts'
import type { SetRole } from './sets.ts'

export interface AssignedMarks {
  readonly marks: ReadonlyMap<ServicePortId, number>
  /** These, and those of foreign virtual servers. */
  readonly taken: Set<number>
}

/** A mark for each inside server: the one that its addresses have in the kernel, so that a restart changes nothing. */
export const assignMarks = (
  layouts: readonly Pick<Laid, 'state' | 'layout'>[],
  found: Pick<ObservedIpvs, 'sets' | 'servers'>,
  { masqueradeMark }: HostState,
  schema: SetSchema<SetRole>,
): AssignedMarks => {
  const byFront = new Map<string, number>()
  for (const member of found.sets.get(schema.ref('INSIDE').name)?.members ?? []) {
    const mark = markOf(member)
    if (mark !== undefined) byFront.set(memberKey(member), mark)
  }
  const ours = new Set(byFront.values())
  const taken = new Set<number>()
  for (const { server } of found.servers.values())
    if (server.id.kind === 'mark' && !ours.has(server.id.mark)) taken.add(server.id.mark)
  const marks = new Map<ServicePortId, number>()
  const without: ServicePortId[] = []
  for (const { state, layout } of layouts) {
    if (layout.inside === undefined) continue
    const known = layout.inside.fronts
      .map(({ ip, protocol, port }) => byFront.get(ipPort(ip, protocol, port)))
      .find((mark) => mark !== undefined && !taken.has(mark) && (mark & masqueradeMark) >>> 0 === 0)
    if (known === undefined) without.push(state.id)
    else {
      marks.set(state.id, known)
      taken.add(known)
    }
  }
  // Marks that are about to go are not given to others at once: a virtual server is made before others are deleted.
  const free = freeMarks(masqueradeMark, new Set([...taken, ...ours]))
  for (const id of without) {
    const mark = free.next().value
    marks.set(id, mark)
    taken.add(mark)
  }
  return { marks, taken }
}

/** Of a member of INSIDE. */
export const markOf = (member: Member): number | undefined => {
  const [, mark] = / skbmark 0x([0-9a-f]+)/.exec(member) ?? []
  return mark === undefined ? undefined : Number.parseInt(mark, 16)
}
