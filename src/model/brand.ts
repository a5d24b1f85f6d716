declare const brand: unique symbol

/** A value of type T that was checked once, at the edge. Only the parser of that brand may cast to it. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
