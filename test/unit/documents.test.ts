import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { parseCommandLine } from '../../src/config/command-line.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const matches = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, group = '']) => group)

describe.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])('%s', (document) => {
  const text = read(document)

  it('links to files that exist', () => {
    for (const target of matches(text, /\]\((?!https?:)([^)#]+)/g))
      expect(existsSync(join(root, target)), target).toBe(true)
  })

  it('names files and folders that exist', () => {
    const paths = matches(text, /`((?:src|test|docs|scripts|deploy|examples|bench)\/[\w./-]*)`/g)
    expect(paths.length).toBeGreaterThan(0)
    for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true)
  })

  it('names scripts of package.json', () => {
    const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')))
    const named = [...matches(text, /npm run ([\w:]+)/g), ...matches(text, /npm (test)\b/g)]
    for (const name of named) expect(Object.keys(scripts)).toContain(name)
  })
})

describe("README.md's commands", () => {
  const readme = read('README.md')

  it('call weir with flags that it has', () => {
    const calls = matches(readme, /node dist\/cli\/main\.js ([^`'\n]+)/g)
    expect(calls.length).toBeGreaterThan(2)
    for (const call of calls) expect(() => parseCommandLine(call.trim().split(/\s+/)), call).not.toThrow()
  })

  it('name the image, the label and the table as the manifests do', () => {
    expect(read('deploy/daemonset.yaml')).toContain(`image: ${matches(readme, /-t (\S+) \./g)[0]}`)
    expect(read('deploy/node-selector.yaml')).toContain(matches(readme, /label node "\$NODE" (\S+)=weir/g)[0])
    expect(read('deploy/configmap.yaml')).toContain(matches(readme, /`(https:\/\/API-SERVER:\d+)`/g)[0])
    expect(read('src/backends/nftables/schema.ts')).toContain(
      `tableName = '${matches(readme, /nft delete table ip6 (\w+)/g)[0]}'`,
    )
  })
})
