const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

/** RFC 3339 with up to nine decimals → milliseconds since the epoch, cut off; undefined when the text is something else. */
export const parseTime = (text: string): number | undefined => {
  if (!rfc3339.test(text)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}
