import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const marker = 'WEIR_TEST_NAMESPACE'

/** The network namespace of the calling process, as the kernel names it: `net:[4026531840]`. */
export const networkNamespace = (): string => readlinkSync('/proc/self/ns/net')

/** The network namespace that {@link ownNamespace} left behind; undefined outside one. */
export const outerNamespace = (): string | undefined => process.env[marker]

/**
 * `/run` becomes empty and private, so that named namespaces of two runs never meet. The shell stays as process 1: the
 * kernel spares process 1 every signal it does not handle, so a program in that place could not be interrupted.
 */
const prepare =
  'mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up || exit; "$@"; exit'

/**
 * The command that runs `argv` in network, mount and process namespaces of its own. Needs root. However the caller
 * ends, every process inside is killed with it (setpriv(1) --pdeathsig, unshare(1) --kill-child), and with the last
 * process the kernel takes down all devices, rulesets and named namespaces.
 */
export const namespaceCommand = (argv: readonly string[]): readonly [string, ...string[]] => [
  'setpriv',
  ...['--pdeathsig', 'KILL'],
  'unshare',
  ...['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child'],
  ...['sh', '-c', prepare, 'sh'],
  ...argv,
]

/** The same with a process namespace alone: network and /run are the caller's. */
export const processNamespaceCommand = (argv: readonly string[]): readonly [string, ...string[]] => [
  'setpriv',
  ...['--pdeathsig', 'KILL'],
  'unshare',
  ...['--pid', '--fork', '--kill-child'],
  ...argv,
]

/** Environment that tells {@link ownNamespace} that it is inside already. */
export const namespaceEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, [marker]: networkNamespace() })

/**
 * Runs the calling test file again inside namespaces of its own, with a private /run/netns, and ends this process with
 * its status. Inside, it returns at once. Call it first, with `import.meta.url`.
 *
 * The TAP goes through untouched, so a runner sees one file.
 */
export const ownNamespace = (moduleUrl: string): void => {
  if (outerNamespace() !== undefined) return
  const [command, ...args] = namespaceCommand([process.execPath, ...process.execArgv, fileURLToPath(moduleUrl)])
  const child = spawnSync(command, args, { stdio: 'inherit', env: namespaceEnvironment() })
  if (child.error !== undefined) throw child.error
  process.exit(child.status ?? 1)
}
