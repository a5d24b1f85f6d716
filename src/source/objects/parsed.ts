import type { Problem } from '../../model/problem.ts'

/** What came of one object: `value` undefined = a proxy has no use for it, and `problems` says why where that is a fault. */
export type Parsed<T> = { readonly value: T | undefined; readonly problems: readonly Problem[] }
