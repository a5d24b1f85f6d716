import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { importsOf, type SourceFile, violations } from '../support/layers.ts'

const src = fileURLToPath(new URL('../../src', import.meta.url))

const files: readonly SourceFile[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(join(src, path), 'utf8') }))

describe('import direction', () => {
  it('holds for every file under src', () => {
    expect(violations(files)).toEqual([])
  })

  it('was checked on the whole program, not on a few files of it', () => {
    const edges = files.flatMap(importsOf)
    expect(files.length).toBeGreaterThan(100)
    expect(edges.length).toBeGreaterThan(2 * files.length)
    const folders = new Set(files.map(({ path }) => path.split('/')[0]))
    for (const layer of [
      'model',
      'track',
      'desired',
      'algorithms',
      'config',
      'kernel',
      'simulate',
      'source',
      'backends',
      'sync',
      'observe',
      'cli',
    ])
      expect(folders).toContain(layer)
  })

  it('sees every import that is written', () => {
    for (const file of files) {
      const written = file.text.match(/^(?:(?:import|export)\b.*|\}) from ['"]/gm)?.length ?? 0
      expect(importsOf(file).length, file.path).toBeGreaterThanOrEqual(written)
    }
  })
})

describe('violations', () => {
  const check = (path: string, text: string): readonly string[] => violations([{ path, text }])

  it.each([
    ['model/ip.ts', "import { x } from '../track/x.ts'"],
    ['model/ip.ts', "import { readFileSync } from 'node:fs'"],
    ['desired/a.ts', "export { x } from '../backends/backend.ts'"],
    ['track/a.ts', "import type {\n  A,\n  B,\n} from '../desired/b.ts'"],
    ['kernel/nft/a.ts', "const x = await import('../../backends/nftables/plan.ts')"],
    ['source/a.ts', "import '../observe/metrics.ts'"],
    ['sync/loop.ts', "import { nftables } from '../backends/nftables/backend.ts'"],
    ['observe/a.ts', "import { loop } from '../sync/loop.ts'"],
    ['backends/ipvs/a.ts', "import { x } from '../nftables/plan.ts'"],
    ['backends/registry.ts', "import { x } from '../cli/main.ts'"],
    ['elsewhere/a.ts', "import { x } from '../model/ip.ts'"],
  ])('finds %s: %s', (path, text) => {
    expect(check(path, text)).toHaveLength(1)
  })

  it.each([
    ['model/ip.ts', "import { Address6 } from 'ip-address'"],
    ['sync/loop.ts', "import type { Backend } from '../backends/backend.ts'"],
    ['observe/a.ts', "import type { SyncEvent } from '../sync/events.ts'"],
    ['backends/registry.ts', "import { x } from './nftables/plan.ts'"],
    ['backends/ipvs/a.ts', "import type { Backend } from '../backend.ts'"],
    ['kernel/nft/a.ts', "import { send } from '../netlink/transport.ts'\nimport { openSync } from 'node:fs'"],
    ['cli/compose.ts', "import { x } from '../backends/ipvs/a.ts'\nimport pino from 'pino'"],
  ])('allows %s: %s', (path, text) => {
    expect(check(path, text)).toEqual([])
  })
})
