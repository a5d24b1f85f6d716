import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const marker = 'WEIR_TEST_NAMESPACE'

/**
 * Runs the calling test file again inside network and mount namespaces of its own, with a private /run/netns, and ends
 * this process with its status. Inside, it returns at once. Call it first, with `import.meta.url`.
 *
 * The TAP goes through untouched, so a runner sees one file.
 */
export const ownNamespace = (moduleUrl: string): void => {
  if (process.env[marker] !== undefined) return
  const script =
    'mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up && exec "$@"'
  const child = spawnSync(
    'unshare',
    ['-n', '-m', '--', 'sh', '-c', script, 'sh', process.execPath, ...process.execArgv, fileURLToPath(moduleUrl)],
    { stdio: 'inherit', env: { ...process.env, [marker]: '1' } },
  )
  if (child.error !== undefined) throw child.error
  process.exit(child.status ?? 1)
}
