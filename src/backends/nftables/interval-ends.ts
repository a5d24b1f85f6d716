import type { HostState } from '../../model/host.ts'
import { diffElements, type ElementDiff } from './diff.ts'
import { type Element, elementKey, keyText } from './element.ts'
import { hostElements } from './layout.ts'
import { type SetName, schemaOf } from './schema.ts'

/**
 * Sets whose elements are the ends of intervals. The kernel takes an end only together with its beginning, so such a set
 * is written anew or not at all. They are small.
 */
export const holdsEnds = (set: SetName): boolean => schemaOf(set).key.includes('boundary')

/** What the host itself asks for, before and after. Returns the sets to be flushed, because they hold ends. */
export const diffHost = (before: HostState, after: HostState, into: ElementDiff): readonly SetName[] => {
  const [old, next] = [hostElements(before), hostElements(after)]
  const isEnd = ({ set }: Element): boolean => holdsEnds(set)
  const isOther = (element: Element): boolean => !isEnd(element)
  diffElements(old.filter(isOther), next.filter(isOther), into)
  const ends = { removed: old.filter(isEnd), added: next.filter(isEnd) }
  if (ends.removed.map(elementKey).join() === ends.added.map(elementKey).join()) return []
  into.removed.push(...ends.removed)
  into.added.push(...ends.added)
  return [...new Set([...ends.removed, ...ends.added].map(({ set }) => set))]
}

/** Whether a set that holds ends is as `host` wants it. `found` is by the text of an element's key. */
export const endsIntact = (set: SetName, found: ReadonlyMap<string, string>, host: HostState): boolean => {
  const wanted = hostElements(host).filter((element) => element.set === set)
  return found.size === wanted.length && wanted.every((element) => found.has(keyText(element)))
}
