/** The import directions of ARCHITECTURE.md as a function from source texts to violations. */
import { posix } from 'node:path'

export interface SourceFile {
  /** Relative to src/, e.g. `kernel/nft/client.ts`. */
  readonly path: string
  readonly text: string
}

export interface Import {
  readonly from: string
  /** A path relative to src/, or the name of a package. */
  readonly to: string
  readonly external: boolean
}

/** What a layer may import besides itself: a whole layer, or one file of it. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  model: [],
  track: ['model'],
  desired: ['model'],
  algorithms: ['model'],
  simulate: ['model', 'algorithms'],
  config: ['model'],
  kernel: ['model'],
  source: ['model'],
  backends: ['model', 'desired', 'algorithms', 'kernel'],
  sync: ['model', 'track', 'desired', 'backends/backend.ts'],
  observe: ['model', 'sync/events.ts'],
  cli: [
    'model',
    'track',
    'desired',
    'algorithms',
    'simulate',
    'config',
    'kernel',
    'source',
    'backends',
    'sync',
    'observe',
  ],
}

/** Layers without I/O, clock or randomness, and the packages they may use all the same. */
const pure: Readonly<Record<string, readonly string[]>> = {
  model: ['ip-address'],
  track: [],
  desired: [],
  algorithms: [],
  simulate: ['yaml'],
}

/** The four ways to program a kernel know nothing of each other. */
const backends = ['nftables', 'iptables', 'ipvs', 'userspace']

const importPattern =
  /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

export const importsOf = ({ path, text }: SourceFile): readonly Import[] =>
  [...text.matchAll(importPattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? ''
    const external = !specifier.startsWith('.')
    const to = external ? specifier : posix.join(posix.dirname(path), specifier)
    return { from: path, to, external }
  })

/** Each import that points the wrong way, as `FROM -> TO: why`. */
export const violations = (files: readonly SourceFile[]): readonly string[] =>
  files.flatMap(importsOf).flatMap((edge) => {
    const why = edge.external ? impurity(edge) : wrongDirection(edge)
    return why === undefined ? [] : [`${edge.from} -> ${edge.to}: ${why}`]
  })

const layerOf = (path: string): string => path.split('/')[0] ?? ''

const impurity = ({ from, to }: Import): string | undefined => {
  const layer = layerOf(from)
  const packages = pure[layer]
  return packages === undefined || packages.includes(to) ? undefined : `${layer} is pure`
}

const wrongDirection = ({ from, to }: Import): string | undefined => {
  const layer = layerOf(from)
  const targets = allowed[layer]
  if (targets === undefined) return `${layer} is not a layer`
  if (layerOf(to) === layer) return betweenBackends(from, to)
  if (targets.some((target) => to === target || to.startsWith(`${target}/`))) return undefined
  return `${layer} may import ${targets.length === 0 ? 'nothing' : targets.join(', ')}`
}

const betweenBackends = (from: string, to: string): string | undefined => {
  const [fromLayer, importer = ''] = from.split('/')
  const [, imported = ''] = to.split('/')
  if (fromLayer !== 'backends' || importer === imported || !backends.includes(importer)) return undefined
  return backends.includes(imported) ? 'backends do not know each other' : undefined
}
