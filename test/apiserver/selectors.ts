import type { Manifest } from './resources.ts'

/** A predicate for the two selector parameters of a list or watch. Understands `k`, `!k`, `k=v`, `k==v` and `k!=v`. */
export const selection = (labelSelector: string, fieldSelector: string): ((object: Manifest) => boolean) => {
  const labels = terms(labelSelector)
  const fields = terms(fieldSelector)
  return (object) =>
    labels.every((term) => holds(term, object.metadata.labels?.[term.key])) &&
    fields.every((term) => holds(term, fieldText(object, term.key)))
}

interface Term {
  readonly key: string
  readonly test: 'exists' | 'absent' | 'equal' | 'different'
  readonly value: string
}

const terms = (selector: string): readonly Term[] =>
  selector
    .split(',')
    .filter((text) => text !== '')
    .map((text) => {
      const [, key = '', operator = '', value = ''] = /^(!?[^=!]+)(?:(==?|!=)(.*))?$/.exec(text) ?? []
      if (key.startsWith('!')) return { key: key.slice(1), test: 'absent', value }
      if (operator === '') return { key, test: 'exists', value }
      return { key, test: operator === '!=' ? 'different' : 'equal', value }
    })

const holds = ({ test, value }: Term, actual: string | undefined): boolean => {
  switch (test) {
    case 'exists':
      return actual !== undefined
    case 'absent':
      return actual === undefined
    case 'equal':
      return actual === value
    case 'different':
      return actual !== value
  }
}

/** An absent field selects as the empty string. */
const fieldText = (object: unknown, path: string): string => {
  let value: unknown = object
  for (const name of path.split('.'))
    value = typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : ''
  return typeof value === 'string' ? value : ''
}
