import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errorCode } from './source-error.ts'

/** Far above any manifest, and far below what would hurt. */
export const maxFileBytes = 64 * 1024 * 1024

export type FileText =
  | { readonly kind: 'text'; readonly text: string; readonly stats: Stats }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unusable'; readonly reason: string }

/** Reads a whole file of UTF-8 text. Pipes and devices are not opened for reading: they might never end. */
export const readText = async (path: string, limit = maxFileBytes): Promise<FileText> => {
  try {
    // Non-blocking, because opening a pipe that nobody writes to would wait for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return await readAll(file, limit)
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'gone' }
    return { kind: 'unusable', reason: `cannot be read (${code})` }
  }
}

const readAll = async (file: FileHandle, limit: number): Promise<FileText> => {
  const stats = await file.stat()
  if (!stats.isFile()) return { kind: 'unusable', reason: 'is not a regular file' }
  if (stats.size > limit) return { kind: 'unusable', reason: `has ${stats.size} bytes, more than the ${limit} allowed` }
  const bytes = await file.readFile()
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), stats }
  } catch {
    return { kind: 'unusable', reason: 'is not UTF-8 text' }
  }
}
