export interface Exposed {
  readonly help: string
  readonly type: string
  /** Label names of its samples, without `le`, sorted. */
  readonly labels: readonly string[]
  readonly buckets: readonly number[]
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g

/** Reads the Prometheus text format 0.0.4, by metric family. Throws on a line that is none. */
export const parseExposition = (text: string): ReadonlyMap<string, Exposed> => {
  const found = new Map<string, { help: string; type: string; labels: Set<string>; buckets: Set<number> }>()
  let family = ''
  for (const line of text.split('\n')) {
    const meta = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (meta?.[1] === 'HELP') {
      family = meta[2] ?? ''
      found.set(family, { help: meta[3] ?? '', type: '', labels: new Set(), buckets: new Set() })
      continue
    }
    const current = found.get(family)
    if (meta?.[1] === 'TYPE' && current !== undefined) {
      current.type = meta[3] ?? ''
      continue
    }
    if (line === '') continue
    const sample = sampleLine.exec(line)
    if (sample === null || current === undefined || !sample[1]?.startsWith(family)) throw new SyntaxError(line)
    for (const [, name = '', value = ''] of (sample[2] ?? '').matchAll(label)) {
      if (name !== 'le') current.labels.add(name)
      else if (value !== '+Inf') current.buckets.add(Number(value))
    }
  }
  return new Map(
    [...found].map(([name, { help, type, labels, buckets }]) => [
      name,
      { help, type, labels: [...labels].sort(), buckets: [...buckets] },
    ]),
  )
}
