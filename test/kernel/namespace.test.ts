/** The pattern of every kernel test: `ownNamespace` first, then tap; from there on the kernel is ours alone. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import t from 'tap'
import {
  namespaceCommand,
  namespaceEnvironment,
  networkNamespace,
  outerNamespace,
  ownNamespace,
} from '../support/namespace.ts'

ownNamespace(import.meta.url)

/** Runs a shell script in namespaces inside ours; gives back what it printed. */
const inside = (script: string): string => {
  const [command, ...args] = namespaceCommand(['sh', '-c', script])
  return execFileSync(command, args, { env: namespaceEnvironment(), encoding: 'utf8' })
}

t.test('the network namespace is another one, with a loopback device that is up and nothing else', async (t) => {
  t.match(outerNamespace(), /^net:\[\d+\]$/)
  t.not(networkNamespace(), outerNamespace())
  t.match(execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' }), /^lo +UNKNOWN[^\n]*LOOPBACK,UP[^\n]*\n$/)
  t.equal(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), '')
})

t.test('named namespaces are private', async (t) => {
  t.same(readdirSync('/run/netns'), [])
  execFileSync('ip', ['netns', 'add', 'ours'])
  t.same(readdirSync('/run/netns'), ['ours'])
  t.equal(inside('ip netns list'), '')
  inside('ip netns add theirs')
  t.same(readdirSync('/run/netns'), ['ours'])
})

t.test('rulesets do not meet', async (t) => {
  execFileSync('nft', ['add', 'table', 'ip', 'ours'])
  t.equal(inside('nft list ruleset; nft add table ip theirs; nft list tables'), 'table ip theirs\n')
  t.equal(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }), 'table ip ours\n')
})

t.test('the status comes through', async (t) => {
  const [command, ...args] = namespaceCommand(['sh', '-c', 'exit 7'])
  t.equal(spawnSync(command, args, { env: namespaceEnvironment() }).status, 7)
})

t.test('what was left running inside ends with the program', async (t) => {
  inside('sleep 987 >/dev/null 2>&1 & ps -eo args | grep -qx "sleep 987"')
  t.notOk(runs('sleep 987'))
})

t.test('what runs inside ends when the caller is killed', async (t) => {
  const [command, ...args] = namespaceCommand(['sh', '-c', 'sleep 986 & wait'])
  const starter = `require('node:child_process').spawnSync(${JSON.stringify(command)}, ${JSON.stringify(args)})`
  const caller = spawn(process.execPath, ['-e', starter], { env: namespaceEnvironment(), stdio: 'ignore' })
  await until(() => runs('sleep 986'))
  t.pass('the program inside has started')
  caller.kill('SIGKILL')
  await once(caller, 'exit')
  await until(() => !runs('sleep 986'))
  t.pass('the program inside has ended')
})

/** Whether a process has exactly this command line. */
const runs = (command: string): boolean =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').includes(command)

const until = async (holds: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
