import { LineCounter, parseAllDocuments } from 'yaml'
import { jsonDocuments } from './json-documents.ts'
import { jsonFaultAt } from './json-fault.ts'

/** A part of a manifest file that holds documents of its own, so that a change elsewhere in the file leaves it alone. */
export interface Section {
  readonly text: string
  /** 1 for the first line of the file. */
  readonly line: number
}

/** Where a file stops being YAML or JSON, both counted from 1. */
export interface SyntaxFault {
  readonly line: number
  readonly column: number
  readonly reason: string
}

/** The documents of a section, or why it has none. */
export type Content =
  | { readonly kind: 'values'; readonly values: readonly unknown[] }
  | { readonly kind: 'fault'; readonly fault: SyntaxFault }

export type Format = 'yaml' | 'json'

export const formatOf = (path: string): Format => (path.endsWith('.json') ? 'json' : 'yaml')

/** Cuts a file into its documents. */
export const sectionsOf = (text: string, format: Format): readonly Section[] => {
  const plain = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  return format === 'json' ? jsonSections(plain) : yamlSections(plain)
}

export const readSection = (section: Section, format: Format): Content =>
  format === 'json' ? readJson(section) : readYaml(section)

const jsonSections = (text: string): readonly Section[] => {
  const sections: Section[] = []
  let line = 1
  let counted = 0
  for (const { start, end } of jsonDocuments(text)) {
    line += newlines(text, counted, start)
    counted = start
    sections.push({ text: text.slice(start, end), line })
  }
  return sections
}

const newlines = (text: string, from: number, to: number): number => {
  let count = 0
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++
  return count
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''
const messageOf = (error: unknown): string => firstLine(error instanceof Error ? error.message : String(error))

const faultAt = (line: number, column: number, reason: string): Content => ({
  kind: 'fault',
  fault: { line, column, reason },
})

const readJson = ({ text, line }: Section): Content => {
  try {
    const value: unknown = JSON.parse(text)
    return { kind: 'values', values: [value] }
  } catch {
    const at = jsonFaultAt(text)
    const column = at - (at === 0 ? -1 : text.lastIndexOf('\n', at - 1))
    const reason =
      at === text.length ? 'the JSON ends too early' : `${JSON.stringify(text.charAt(at))} does not belong here`
    return faultAt(line + newlines(text, 0, at), column, reason)
  }
}

/**
 * How often an alias may be followed in all, counting aliases within aliases: enough for any manifest, and far too little
 * for a "billion laughs".
 */
const maxAliasCount = 10_000

const readYaml = ({ text, line }: Section): Content => {
  const lineCounter = new LineCounter()
  try {
    const values: unknown[] = []
    const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, merge: true, logLevel: 'error' })
    for (const document of documents) {
      const [error] = document.errors
      if (error !== undefined) {
        const { line: below, col } = lineCounter.linePos(error.pos[0])
        return faultAt(line + Math.max(below, 1) - 1, Math.max(col, 1), firstLine(error.message))
      }
      values.push(document.toJS({ maxAliasCount }))
    }
    return { kind: 'values', values }
  } catch (error) {
    // Too many aliases, or nested too deep for the parser: neither comes with a position.
    return faultAt(line, 1, messageOf(error))
  }
}

const documentStart = /^---(?=[ \t\r\n]|$)/
/** `%` directives and `...` tie documents together; a file that uses them is read as one section. */
const tied = /^(?:%|\.\.\.(?=[ \t\r\n]|$))/m

/** A line that starts with `---` begins a document wherever it stands (YAML 1.2 §9.1.2), so no parser is needed to cut. */
const yamlSections = (text: string): readonly Section[] => {
  if (tied.test(text)) return [{ text, line: 1 }]
  const sections: Section[] = []
  let start = 0
  let startLine = 1
  let line = 1
  for (let at = 0; at >= 0 && at < text.length; line++) {
    if (at > start && text.startsWith('---', at) && documentStart.test(text.slice(at, at + 4))) {
      sections.push({ text: text.slice(start, at), line: startLine })
      start = at
      startLine = line
    }
    const next = text.indexOf('\n', at)
    at = next < 0 ? -1 : next + 1
  }
  sections.push({ text: text.slice(start), line: startLine })
  return sections
}
