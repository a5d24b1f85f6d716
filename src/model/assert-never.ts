/** The `default` of every exhaustive switch: compiles only while no variant is left, throws if the types lied. */
export const assertNever = (value: never, what: string): never => {
  throw new TypeError(`unexpected ${what}: ${JSON.stringify(value)}`)
}
