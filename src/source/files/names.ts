import { basename } from 'node:path'

const suffixes = ['.yaml', '.yml', '.json']

/** Hidden files are an editor's, or the plumbing of a mounted ConfigMap (`..data`). */
export const isHidden = (name: string): boolean => name.startsWith('.')

/** Whether a file of this name is read. Backups and half-finished downloads end otherwise, or are hidden. */
export const isManifestName = (name: string): boolean =>
  !isHidden(name) && suffixes.some((suffix) => name.endsWith(suffix) && name.length > suffix.length)

/** Whether something of this name, hidden though it is, decides what a mounted ConfigMap holds. */
export const isMountLink = (path: string): boolean => basename(path).startsWith('..')
