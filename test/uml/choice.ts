/** A whole number from 0 to `below - 1`. */
export type Choice = (below: number) => number

export const one = <Item>(items: readonly [Item, ...Item[]], below: Choice): Item =>
  items[below(items.length)] ?? items[0]

/** One of the keys of `parts`, each with a chance in proportion to its part. */
export const weighted = <Key extends string>(
  keys: readonly [Key, ...Key[]],
  parts: Readonly<Record<Key, number>>,
  below: Choice,
): Key => {
  let left = below(keys.reduce((sum, key) => sum + parts[key], 0))
  for (const key of keys) {
    if (left < parts[key]) return key
    left -= parts[key]
  }
  return keys[0]
}
