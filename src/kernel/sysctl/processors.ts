import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'

const rangeText = /^(\d+)(?:-(\d+))?$/

/** Counts a list of the kernel's, e.g. `0-3,5,8-11` (Documentation/admin-guide/cputopology.rst). Undefined for what is none. */
export const countOfList = (text: string): number | undefined => {
  let count = 0
  for (const part of text.trim().split(',')) {
    const [, first, last = first] = rangeText.exec(part) ?? []
    if (first === undefined || last === undefined) return undefined
    const length = Number.parseInt(last, 10) - Number.parseInt(first, 10) + 1
    if (length < 1) return undefined
    count += length
  }
  return count
}

/**
 * The machine's processors that are online, whichever this process may use: limits that depend on them are the whole
 * machine's. Where /sys does not tell, those that this process may use.
 */
export const countProcessors = async (
  signal: AbortSignal,
  path = '/sys/devices/system/cpu/online',
): Promise<number> => {
  signal.throwIfAborted()
  try {
    const count = countOfList(await readFile(path, { encoding: 'utf8', signal }))
    if (count !== undefined) return count
  } catch {
    signal.throwIfAborted()
  }
  return availableParallelism()
}
