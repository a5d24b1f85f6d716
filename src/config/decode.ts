import { type Document, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, type Tags } from 'yaml'
import { ConfigError, type Issue } from './config-error.ts'
import { isMapping } from './leaf.ts'
import { configurationShape, type FileSettings, isLeaf, type Partially, type Shape } from './shape.ts'

const apiVersion = 'kubeproxy.config.k8s.io/v1alpha1'
const kind = 'KubeProxyConfiguration'

export interface Decoded {
  readonly settings: FileSettings
  readonly warnings: readonly string[]
}

/**
 * Decodes a KubeProxyConfiguration from YAML or JSON as kube-proxy does: unknown and duplicate keys are only warned
 * of (the last duplicate counts), everything else that does not fit is fatal, and only the first document is read.
 *
 * @throws {ConfigError} code `decode`.
 */
export const decodeConfiguration = (source: string): Decoded => {
  const lines = new LineCounter()
  const documents = parse(source, lines)
  const document = documents[0]
  const root = document === undefined ? undefined : contentOf(document)
  if (document === undefined || !isMapping(root)) {
    throw new ConfigError('decode', [{ field: 'kind', reason: `Required value: must be ${kind}` }])
  }
  const report: Report = { issues: [], unknown: [] }
  checkType(root, report.issues)
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = root
  const settings = decodeShape(configurationShape, rest, '', report)
  if (report.issues.length > 0) throw new ConfigError('decode', report.issues)
  return { settings, warnings: strictnessWarnings(document, lines, report.unknown, documents.length) }
}

/** goyaml.v2 is YAML 1.1 without sexagesimal numbers, and its dates turn into text. */
const tagsOfGo = (tags: Tags): Tags =>
  tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      (tag.tag !== 'tag:yaml.org,2002:timestamp' && !('format' in tag && tag.format === 'TIME')),
  )

const parse = (source: string, lineCounter: LineCounter): readonly Document[] => {
  const parsed = parseAllDocuments(source, {
    version: '1.1',
    uniqueKeys: false,
    logLevel: 'error',
    lineCounter,
    customTags: tagsOfGo,
  })
  const first = Array.isArray(parsed) ? parsed[0] : undefined
  const error = first?.errors[0]
  if (error !== undefined) throw notYaml(error)
  return Array.isArray(parsed) ? parsed : []
}

const contentOf = (document: Document): unknown => {
  try {
    return document.toJS()
  } catch (cause) {
    throw notYaml(cause)
  }
}

const notYaml = (cause: unknown): ConfigError => {
  const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause)
  return new ConfigError('decode', [{ field: 'file', reason: `not valid YAML: ${why}` }], cause)
}

const checkType = (root: Readonly<Record<string, unknown>>, issues: Issue[]): void => {
  const expected = { kind, apiVersion }
  for (const [field, wanted] of Object.entries(expected)) {
    const value = root[field]
    if (value === undefined || value === null || value === '') {
      issues.push({ field, reason: `Required value: must be ${wanted}` })
    } else if (value !== wanted) {
      issues.push({ field, reason: `Unsupported value: ${JSON.stringify(value)}: supported values: "${wanted}"` })
    }
  }
}

interface Report {
  readonly issues: Issue[]
  readonly unknown: string[]
}

const decodeShape = <S extends Shape>(shape: S, input: unknown, prefix: string, report: Report): Partially<S> => {
  const values: Record<string, unknown> = {}
  if (!isMapping(input) && input !== undefined && input !== null) {
    report.issues.push({ field: prefix.slice(0, -1), reason: `Invalid value: ${JSON.stringify(input)}: must be a map` })
  }
  const mapping = isMapping(input) ? input : {}
  for (const key of Object.keys(mapping)) if (!Object.hasOwn(shape, key)) report.unknown.push(prefix + key)
  for (const [key, part] of Object.entries(shape)) {
    const value = mapping[key]
    const field = prefix + key
    if (!isLeaf(part)) {
      values[key] = decodeShape(part, value, `${field}.`, report)
      continue
    }
    if (value === undefined || value === null) continue
    values[key] = part.read(value)
    if (values[key] === undefined) {
      report.issues.push({ field, reason: `Invalid value: ${JSON.stringify(value)}: must be ${part.wanted}` })
    }
    report.unknown.push(...(part.unknownKeys?.(value) ?? []).map((path) => field + path))
  }
  // Every key of the shape was read by its own leaf, which is what Partially says.
  return values as Partially<S>
}

const strictnessWarnings = (
  document: Document,
  lines: LineCounter,
  unknown: readonly string[],
  documents: number,
): readonly string[] => {
  const strict = [
    ...unknown.map((path) => `unknown field "${path}"`),
    ...duplicateKeys(document.contents, '', lines).map((where) => `${where} already set in map`),
  ]
  const warnings: string[] = []
  if (strict.length > 0) warnings.push(`using lenient decoding as strict decoding failed: ${strict.join(', ')}`)
  if (documents > 1) warnings.push('only the first YAML document of the configuration file is read')
  return warnings
}

const duplicateKeys = (node: unknown, prefix: string, lines: LineCounter): readonly string[] => {
  if (isSeq(node)) return node.items.flatMap((item, index) => duplicateKeys(item, `${prefix}[${index}].`, lines))
  if (!isMap(node)) return []
  const seen = new Set<string>()
  const found: string[] = []
  for (const pair of node.items) {
    if (!isPair(pair)) continue
    const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
    const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined
    if (seen.has(key))
      found.push(`line ${offset === undefined ? '?' : lines.linePos(offset).line}: key "${prefix}${key}"`)
    seen.add(key)
    found.push(...duplicateKeys(pair.value, `${prefix}${key}.`, lines))
  }
  return found
}

/** What a file without any field says. */
export const emptyFile: FileSettings = decodeShape(configurationShape, {}, '', { issues: [], unknown: [] })
