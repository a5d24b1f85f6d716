import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { flags, ignoredFlags } from './flags.ts'
import { configurationFields } from './shape.ts'
import { fieldsNotActedOn } from './support.ts'

const document = readFileSync(new URL('../../docs/compatibility.md', import.meta.url), 'utf8')
const section = (title: string): string => document.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? ''

/** First column without its backticks → second column. */
const rows = (text: string): ReadonlyMap<string, string> =>
  new Map([...text.matchAll(/^\| `([^`]+)` \| ([^|]*?) \|/gm)].map(([, key = '', status = '']) => [key, status]))

const commandLine = rows(section('Command line'))
const file = rows(section('Configuration file'))
const notYet = 'accepted, not acted on yet'
const statuses = ['same', '**differs**', notYet]

describe('docs/compatibility.md', () => {
  test.each(flags.map(({ name }) => `--${name}`))('has %s', (flag) => {
    expect([...statuses, 'weir only']).toContain(commandLine.get(flag))
  })
  test.each([...ignoredFlags.keys()])('names --%s', (name) => {
    expect(section('Command line')).toContain(`\`--${name}\``)
  })
  test.each(configurationFields)('has %s', (field) => {
    const ours = field.startsWith('weir.')
    expect(ours ? ['weir only'] : statuses).toContain(file.get(field))
  })
  test.each(fieldsNotActedOn)('%s is documented and known as not acted on', (field) => {
    expect(configurationFields).toContain(field)
    expect(file.get(field)).toBe(notYet)
  })
  test('what is documented as not acted on is warned of', () => {
    const documented = [...file].filter(([, status]) => status === notYet).map(([field]) => field)
    expect(documented.sort()).toEqual([...fieldsNotActedOn].sort())
  })
  test('a flag has the status of its field, and neither table has rows too many', () => {
    for (const flag of flags) {
      if (!('field' in flag)) continue
      expect(configurationFields).toContain(flag.field)
      expect([flag.name, commandLine.get(`--${flag.name}`) === notYet]).toEqual([
        flag.name,
        file.get(flag.field) === notYet,
      ])
    }
    expect([...commandLine.keys()].filter((key) => key.startsWith('--'))).toHaveLength(flags.length)
    expect(file.size).toBe(configurationFields.length)
  })
})
