/**
 * `npm run bench`: how fast weir is on this machine, on synthetic clusters. suite.ts measures in namespaces of its own;
 * this process only waits for it, so whatever way either ends, nothing is left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { missingMeans } from '../test/support/means.ts'
import { namespaceCommand, namespaceEnvironment } from '../test/support/namespace.ts'
import { parseOptions, UsageError, usage } from './options.ts'

const fail = (text: string, status: number): never => {
  process.stderr.write(`${text}\n`)
  process.exit(status)
}

const argv = process.argv.slice(2)
try {
  if (parseOptions(argv, '') === 'help') {
    process.stdout.write(usage)
    process.exit(0)
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  fail(`${error.message}\n${usage}`, 2)
}

const missing = missingMeans()
if (missing.length > 0)
  fail(`The benchmark needs network namespaces and nftables; missing here: ${missing.join(', ')}.`, 1)

const suite = fileURLToPath(new URL('./suite.js', import.meta.url))
const [command, ...args] = namespaceCommand([process.execPath, suite, ...argv])
const child = spawn(command, args, { stdio: 'inherit', env: namespaceEnvironment() })
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill('SIGKILL'))
const [status]: unknown[] = await once(child, 'exit')
process.exitCode = status === 0 ? 0 : 1
