import { spawnSync } from 'node:child_process'
import { missingMeans } from './means.ts'
import { describeOutcome, runCommandInGuest } from './uml.ts'

/** Programs that a guest needs, and the Debian package of each. */
const programs = {
  'linux.uml': 'user-mode-linux',
  busybox: 'busybox-static',
  modprobe: 'kmod',
  ip: 'iproute2',
} as const

/** What this machine lacks for guests (uml.ts); empty when one boots. Takes two seconds. */
export const missingGuestMeans = async (signal: AbortSignal): Promise<readonly string[]> => {
  const missing = [
    ...missingMeans(),
    ...Object.entries(programs)
      .filter(([program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
      .map(([program, debian]) => `the program ${program} (Debian package ${debian})`),
  ]
  if (missing.length > 0) return missing
  const outcome = await runCommandInGuest('true', { timeoutMs: 30_000, mem: 64 }, signal)
  if (outcome.kind === 'exited' && outcome.status === 0) return []
  return [
    `user-mode Linux: ${describeOutcome(outcome)
      .trim()
      .replaceAll(/\s*\n\s*/g, '; ')}`,
  ]
}
