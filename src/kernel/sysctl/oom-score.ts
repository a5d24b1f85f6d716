import { writeProcFile } from './proc-sysctl.ts'
import { SysctlError } from './sysctl-error.ts'

/**
 * How ready the kernel is to kill this process when memory runs out: -1000 (never) to 1000 (first). See proc(5).
 * Lowering it takes CAP_SYS_RESOURCE. Throws {@link SysctlError}.
 */
export const writeOomScoreAdj = async (
  value: number,
  signal: AbortSignal,
  path = '/proc/self/oom_score_adj',
): Promise<void> => {
  const op = `write ${path} = ${value}`
  if (!Number.isInteger(value) || value < -1000 || value > 1000)
    throw new SysctlError('rejected', op, 'not from -1000 to 1000')
  await writeProcFile(path, String(value), op, signal)
}
