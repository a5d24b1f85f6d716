// tap's declarations name this optional package. With the one type they use, the compiler can check them too.
declare module 'react' {
  export type ReactNode = unknown
}
