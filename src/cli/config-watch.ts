import { readFile } from 'node:fs/promises'
import type { Clock } from '../sync/clock.ts'

const periodMs = 1000

/**
 * Resolves when the text of the configuration file is no longer `text`: the process is to end, so that it is started
 * again with the new one, as kube-proxy does. Compares content: a mounted ConfigMap changes by swapping symlinks, which
 * says nothing to a watch on the file. A file that cannot be read for a moment is no change.
 */
export const configChanged = async (path: string, text: string, clock: Clock, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await clock.sleep(periodMs, signal)
    const now = await readFile(path, 'utf8').catch(() => text)
    if (now !== text) return
  }
}
