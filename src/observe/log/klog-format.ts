/** The severity letters of klog. Its verbose lines are I as well. */
const severity: ReadonlyMap<unknown, string> = new Map([
  ['fatal', 'F'],
  ['error', 'E'],
  ['warn', 'W'],
])

/** A JSON object, with the fields by name that mean something here. */
interface Entry {
  readonly level?: unknown
  readonly time?: unknown
  readonly pid?: unknown
  readonly component?: unknown
  readonly msg?: unknown
  readonly message?: unknown
  readonly stack?: unknown
  readonly [field: string]: unknown
}

/** Fields that make the head of a line; the others follow it. */
const header = new Set(['level', 'time', 'pid', 'component', 'msg'])

/**
 * One JSON log line as klog would write it, in local time:
 * `I1231 23:59:59.123000   4242 sync] "Applied changes" family="IPv4" added=1`.
 * Where klog has the file and line, there is the component. What is no JSON object passes unchanged.
 */
export const klogLine = (json: string): string => {
  const entry = parseEntry(json)
  if (entry === undefined) return json
  const time = new Date(typeof entry.time === 'string' ? entry.time : Number.NaN)
  const component = typeof entry.component === 'string' ? entry.component : 'weir'
  const fields = Object.entries(entry).filter(([name]) => !header.has(name))
  const words = [
    `${severity.get(entry.level) ?? 'I'}${dayAndTime(time)} ${String(entry.pid).padStart(7)} ${component}]`,
    JSON.stringify(entry.msg ?? ''),
    ...fields.map(([name, value]) => `${name}=${fieldText(value)}`),
  ]
  return `${words.join(' ')}\n`
}

const parseEntry = (json: string): Entry | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Entry =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Errors come as `{type, message, stack}`; a line has room for the message. */
const fieldText = (value: unknown): string => {
  if (isRecord(value) && value.stack !== undefined && value.message !== undefined) return JSON.stringify(value.message)
  return JSON.stringify(value)
}

const two = (value: number): string => String(value).padStart(2, '0')

const dayAndTime = (time: Date): string => {
  const day = `${two(time.getMonth() + 1)}${two(time.getDate())}`
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return `${day} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}000`
}
