import { readFile } from 'node:fs/promises'
import { describe, FatalError } from './fatal.ts'

/**
 * Chart.js as one script. The package exports its modules only; the script lies beside them.
 *
 * @throws FatalError when the package is not installed
 */
export const chartLibrary = async (): Promise<string> => {
  try {
    return await readFile(new URL('chart.umd.min.js', import.meta.resolve('chart.js')), 'utf8')
  } catch (cause) {
    throw new FatalError(`--html needs the package chart.js: ${describe(cause)}`, cause)
  }
}
