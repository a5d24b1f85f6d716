import { createHash } from 'node:crypto'
import { type ManifestObject, type ObjectOptions, readObjects } from '../objects/read-objects.ts'
import { formatOf, readSection, type SyntaxFault, sectionsOf } from './documents.ts'

export interface ManifestOptions extends ObjectOptions {
  /** Other Nodes than this one are none of a proxy's business. */
  readonly nodeName: string
}

/** One version of a manifest file. */
export interface Manifest {
  /** Nothing but blanks, as a file is for a moment while it is rewritten in place. */
  readonly blank: boolean
  /** What could be read, in the order of the file. */
  readonly objects: readonly ManifestObject[]
  /** The first place where the file is not YAML or JSON. */
  readonly fault: SyntaxFault | undefined
  /** What each section said, by digest. */
  readonly sections: ReadonlyMap<string, readonly ManifestObject[]>
}

/** Tells two texts apart. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64')

/** Reads a file; the sections that `before` already had are not parsed again. */
export const readManifest = (
  path: string,
  text: string,
  options: ManifestOptions,
  before: Manifest | undefined,
): Manifest => {
  const format = formatOf(path)
  const sections = new Map<string, readonly ManifestObject[]>()
  const objects: ManifestObject[] = []
  let fault: SyntaxFault | undefined
  for (const section of sectionsOf(text, format)) {
    const key = digestOf(section.text)
    let found = before?.sections.get(key)
    if (found === undefined) {
      const content = readSection(section, format)
      if (content.kind === 'fault') {
        fault ??= content.fault
        continue
      }
      found = content.values.flatMap((value) => objectsOf(value, options))
    }
    sections.set(key, found)
    for (const object of found) objects.push(object)
  }
  return { blank: text.trim() === '', objects, fault, sections }
}

/** An empty document is no object; another node's Node is not ours. */
const objectsOf = (value: unknown, options: ManifestOptions): readonly ManifestObject[] => {
  if (value === null || value === undefined) return []
  return readObjects(value, options).filter(
    ({ ref, change }) => change?.kind !== 'node' || ref.name === options.nodeName,
  )
}
