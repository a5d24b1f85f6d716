import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { namespaceCommand } from './namespace.ts'

const marker = 'WEIR_TEST_GUEST'
const program = fileURLToPath(new URL('./uml-file-program.js', import.meta.url))

/** Below the limit of a test file (kernel-tests.ts), so that what the guest said until then is told. */
const patienceMs = 220_000

/** Whether this process runs in a guest that {@link ownGuest} started. */
export const isInGuest = (): boolean => process.env[marker] !== undefined

/**
 * Runs the calling test file again in a guest (uml.ts), and ends this process as it ended. Inside, it returns at once. Call it
 * first, with `import.meta.url`, in place of `ownNamespace`: the guest is a kernel of the file's own. A scene's hosts are outside, at the
 * ends of links to the guest (surroundings.ts): its own system calls are slow, those of the hosts are not.
 *
 * The TAP goes through untouched, so a runner sees one file and counts its tests. A guest that breaks, or takes too long,
 * has failed and its console is told. On a machine without guests the file is skipped, with the reason.
 */
export const ownGuest = (moduleUrl: string): void => {
  if (isInGuest()) return
  // Not in this process, where tap would wait for tests.
  const args = [program, fileURLToPath(moduleUrl), String(patienceMs), marker]
  const [command, ...words] = namespaceCommand([process.execPath, ...args])
  const child = spawnSync(command, words, { stdio: 'inherit' })
  if (child.error !== undefined) throw child.error
  process.exit(child.status ?? 1)
}
