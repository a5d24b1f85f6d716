import type { SetHeader } from './ipset.ts'

/**
 * Parses `ipset list -terse`: blocks of `Key: value` lines, a blank line between. Undefined when a block lacks a field.
 * A set's name is printed as it is; it cannot hold a line end.
 */
export const parseSetHeaders = (text: string): readonly SetHeader[] | undefined => {
  const headers: SetHeader[] = []
  for (const block of text.split('\n\n')) {
    if (block.trim() === '') continue
    const fields = new Map(block.split('\n').map(splitField))
    const name = fields.get('Name')
    const type = fields.get('Type')
    const references = wholeNumber(fields.get('References'))
    const entries = wholeNumber(fields.get('Number of entries'))
    if (name === undefined || type === undefined || references === undefined || entries === undefined) return undefined
    headers.push({ name, type, entries, references })
  }
  return headers
}

const splitField = (line: string): [string, string] => {
  const colon = line.indexOf(': ')
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 2)]
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number.parseInt(text, 10) : undefined
