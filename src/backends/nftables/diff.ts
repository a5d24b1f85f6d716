import { type Element, elementKey, sameContent } from './element.ts'

/** What turns one list of elements into another. A changed element is removed and added: the kernel knows no update. */
export interface ElementDiff {
  readonly removed: Element[]
  readonly added: Element[]
}

const sameKey = (a: Element, b: Element): boolean =>
  a.set === b.set && a.key.length === b.key.length && a.key.every((part, i) => part === b.key[i])

/**
 * Compares two layouts of the same virtual server. Layouts come in a fixed order, so equal keys mostly stand side by
 * side at both ends (always, for a Maglev table): only what is left between needs a map.
 */
export const diffElements = (before: readonly Element[], after: readonly Element[], into: ElementDiff): void => {
  let start = 0
  for (; start < before.length && start < after.length; start++) {
    const [old, next] = [before[start], after[start]]
    if (old === undefined || next === undefined || !sameKey(old, next)) break
    replace(old, next, into)
  }
  let [endBefore, endAfter] = [before.length, after.length]
  for (; endBefore > start && endAfter > start; endBefore--, endAfter--) {
    const [old, next] = [before[endBefore - 1], after[endAfter - 1]]
    if (old === undefined || next === undefined || !sameKey(old, next)) break
    replace(old, next, into)
  }
  const rest = new Map<string, Element>()
  for (const element of before.slice(start, endBefore)) rest.set(elementKey(element), element)
  for (const element of after.slice(start, endAfter)) {
    const key = elementKey(element)
    const old = rest.get(key)
    rest.delete(key)
    if (old === undefined) into.added.push(element)
    else replace(old, element, into)
  }
  into.removed.push(...rest.values())
}

const replace = (old: Element, next: Element, into: ElementDiff): void => {
  if (sameContent(old, next)) return
  into.removed.push(old)
  into.added.push(next)
}
