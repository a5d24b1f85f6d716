/** An object of unknown fields, as JSON.parse makes them. */
export type JsonRecord = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The record in `record[field]`, or an empty one. */
export const recordIn = (record: JsonRecord, field: string): JsonRecord => {
  const value = record[field]
  return isRecord(value) ? value : {}
}

/** The text in `record[field]`; undefined when it is absent, empty or something else. */
export const textIn = (record: JsonRecord, field: string): string | undefined => {
  const value = record[field]
  return typeof value === 'string' && value !== '' ? value : undefined
}
