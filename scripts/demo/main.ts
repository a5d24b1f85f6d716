/**
 * `npm run demo`: a node, a client and a few pods as network namespaces, weir on examples/, and real connections. The
 * story is told by story.ts in namespaces of its own; this process only waits for it, so whatever way either ends,
 * nothing is left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { missingMeans } from '../../test/support/means.ts'
import { namespaceCommand, namespaceEnvironment } from '../../test/support/namespace.ts'

const missing = missingMeans()
if (missing.length > 0) {
  console.error(`The demo needs network namespaces and nftables; missing here: ${missing.join(', ')}.`)
  process.exit(1)
}

const story = fileURLToPath(new URL('./story.js', import.meta.url))
const [command, ...args] = namespaceCommand([process.execPath, story])
const child = spawn(command, args, { stdio: 'inherit', env: namespaceEnvironment() })
let interrupted: NodeJS.Signals | undefined
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    interrupted = name
    child.kill('SIGKILL')
  })
const [status]: unknown[] = await once(child, 'exit')
const gone = 'Everything the demo made is gone: it lived in namespaces that ended with it.'
if (interrupted !== undefined) {
  console.log(`\nInterrupted. ${gone}`)
  process.exitCode = 130
} else {
  console.log(gone)
  process.exitCode = status === 0 ? 0 : 1
}
