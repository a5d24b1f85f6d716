import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
const defined = [...read('../../docs/service-semantics.md').matchAll(/\*\*(S\d+\.\d+)\*\*/g)].map((match) => match[1])

const cited = (folder: string): readonly string[] =>
  readdirSync(new URL(folder, import.meta.url))
    .filter((name) => name.endsWith('.test.ts'))
    .flatMap((name) => [...read(`${folder}${name}`).matchAll(/\bS\d+\.\d+\b/g)].map((match) => match[0]))

describe('docs/service-semantics.md', () => {
  it('numbers each rule once', () => {
    expect(defined.length).toBeGreaterThan(40)
    expect(new Set(defined).size).toBe(defined.length)
  })

  it('has every rule that the tests of track and desired cite, and they cite many', () => {
    const rules = new Set([...cited('../../src/track/'), ...cited('../../src/desired/')])
    expect([...rules].filter((rule) => !defined.includes(rule))).toEqual([])
    expect(rules.size).toBeGreaterThan(25)
  })
})
