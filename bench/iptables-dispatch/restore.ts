import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'

/** Runs iptables-restore in a network namespace. Milliseconds, from its start to its end. */
export const restore = async (netns: string, variant: Variant, input: string): Promise<number> => {
  const command = [`iptables-${variant}-restore`, '--noflush', '--counters', '-w', '5']
  const start = performance.now()
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, ...command], { stdio: ['pipe', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text.slice(0, 1000)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [status]: unknown[] = await once(child, 'close')
  if (status !== 0) throw new Error(`${command.join(' ')}: ${errors.slice(0, 1000) || String(status)}`)
  return performance.now() - start
}
