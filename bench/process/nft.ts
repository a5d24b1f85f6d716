import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs nft(8) in a network namespace with `script` on its standard input. Milliseconds, from its start to its end. */
export const runNft = async (netns: string, args: readonly string[], script = ''): Promise<number> => {
  const start = performance.now()
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, 'nft', ...args], { stdio: ['pipe', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text.slice(0, 1000)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(script)
  const [status]: unknown[] = await once(child, 'close')
  if (status !== 0) throw new Error(`nft ${args.join(' ')}: ${errors.slice(0, 1000) || String(status)}`)
  return performance.now() - start
}
