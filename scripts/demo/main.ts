/**
 * `npm run demo`: a node, a client and a few pods as network namespaces, weir on examples/, and real connections. The
 * story is told by story.ts in namespaces of its own; this process only waits for it, so whatever way either ends,
 * nothing is left. Where namespaces or nftables cannot be had, local-story.ts tells it with processes on loopback.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { missingMeans } from '../../test/support/means.ts'
import { namespaceCommand, namespaceEnvironment } from '../../test/support/namespace.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const missing = missingMeans()
if (missing.length > 0) {
  console.log(`No network namespaces with nftables here: missing ${missing.join(', ')}.`)
  console.log('So this is the demo without privilege: weir in mode userspace.\n')
  await import('./local-story.ts')
}

const [command, ...args] = namespaceCommand([process.execPath, path('./story.js')])
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
