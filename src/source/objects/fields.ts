/** The fields that a reader asks of an object of unknown origin. All of them may be absent or of any type. */
export type Fields<Name extends string> = { readonly [Field in Name]?: unknown }

/** The value as a JSON object; undefined for everything else. */
export const fields = <Name extends string>(value: unknown): Fields<Name> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields<Name>) : undefined

/** JSON's null means "not set", as in the API. */
export const isUnset = (value: unknown): value is undefined | null => value === undefined || value === null

const quotedLength = 80

/** A value as a message shows it: short, on one line, whatever it is. */
export const quote = (value: unknown): string => {
  switch (typeof value) {
    case 'string':
      return value.length > quotedLength ? `${JSON.stringify(value.slice(0, quotedLength))}…` : JSON.stringify(value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? 'a list' : 'an object'
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'undefined':
      return 'nothing'
    default:
      return `a ${typeof value}`
  }
}
