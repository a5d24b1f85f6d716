// tap's declarations name a function of Node 22, where it exists; they allow for its absence.
import 'node:module'

declare module 'module' {
  export const registerHooks: unknown
}
