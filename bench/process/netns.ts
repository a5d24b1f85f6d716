import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** All commands in one process of ip(8), inside `netns` when one is named. The first that fails ends it. */
export const ipBatch = async (commands: readonly string[], netns?: string): Promise<void> => {
  const running = execute('ip', [...(netns === undefined ? [] : ['-n', netns]), '-batch', '-'])
  running.child.stdin?.end(`${commands.join('\n')}\n`)
  await running
}

export const addNetns = async (name: string): Promise<void> => {
  await ipBatch([`netns add ${name}`])
  await ipBatch(['link set lo up'], name)
}

/** Its devices and rulesets go with it, once nobody is inside. */
export const deleteNetns = (name: string): Promise<void> => ipBatch([`netns del ${name}`])

export const setSysctls = async (netns: string, values: Readonly<Record<string, number>>): Promise<void> => {
  const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`)
  await execute('ip', ['netns', 'exec', netns, 'sysctl', '-qw', ...settings])
}
