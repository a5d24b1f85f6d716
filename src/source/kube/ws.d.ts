/** The one name of ws that the declarations we load of @kubernetes/client-node mention; ws ships no types. Nothing uses it. */
declare module 'ws' {
  export interface ClientOptions extends Readonly<Record<never, never>> {}
}
