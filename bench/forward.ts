/**
 * `node build/bench/forward.js`: the forwarding engine of the userspace backend beside HAProxy in TCP mode: same
 * processors, same clients, same endpoints, in one run. Runs itself again in namespaces of its own; whatever way it
 * ends, nothing is left.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { namespaceCommand, namespaceEnvironment, outerNamespace } from '../test/support/namespace.ts'
import { measureForwarding } from './forward/run.ts'
import { load, machine, quiet } from './machine.ts'

const usage = `usage: node build/bench/forward.js [OPTION...]
  --quick       one second for each measurement, three rounds, 1,000 idle connections
  --threads N   of both proxies (1)
  --seconds N   of each measurement (3)
  --rounds N    of each pair (5)
  --idle N      idle connections (10000, or as many as the limit of open files allows)
  --soak N      connections opened and closed through weir at the end (0)
  --json FILE   write the results there too
Needs root, and of Debian: haproxy, wrk, iperf3.
`

const fail = (text: string): never => {
  process.stderr.write(`${text}\n`)
  process.exit(2)
}

const readOptions = () => {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        threads: { type: 'string', default: '1' },
        seconds: { type: 'string' },
        rounds: { type: 'string' },
        idle: { type: 'string' },
        soak: { type: 'string', default: '0' },
        json: { type: 'string' },
      },
    })
    return values
  } catch (cause) {
    return fail(`${cause instanceof Error ? cause.message : cause}\n${usage}`)
  }
}

const options = readOptions()
const whole = (flag: string, text: string, least: number): number => {
  const value = Number(text.replaceAll(',', ''))
  return Number.isInteger(value) && value >= least && value <= 1e9 ? value : fail(`--${flag}: "${text}"\n${usage}`)
}
const { quick, json } = options
const threads = whole('threads', options.threads, 1)
const seconds = whole('seconds', options.seconds ?? (quick ? '1' : '3'), 1)
const rounds = whole('rounds', options.rounds ?? (quick ? '3' : '5'), 1)
const idle = whole('idle', options.idle ?? (quick ? '1000' : '10000'), 1)
const soak = whole('soak', options.soak, 0)

const measure = async (): Promise<void> => {
  const startedAt = new Date()
  const print = (text: string): void => void process.stdout.write(text)
  const facts = machine()
  print(`${Object.entries(facts).flat().join(' ')} threads ${threads}\n`)
  const calm = await quiet(quick ? 1_000 : 10_000)
  print(`load ${load()}\n`)
  const figures = await measureForwarding({ threads, seconds, rounds, idle, soak, print })
  if (!calm) print('\nOthers used the processors during this run: only the ratios mean something.\n')
  if (json === undefined) return
  mkdirSync(dirname(json), { recursive: true })
  const results = { startedAt: startedAt.toISOString(), machine: facts, threads, seconds, rounds, calm, figures }
  writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
}

const again = async (): Promise<number> => {
  const argv = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const [command, ...args] = namespaceCommand(argv)
  const child = spawn(command, args, { stdio: 'inherit', env: namespaceEnvironment() })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill('SIGKILL'))
  const [status]: unknown[] = await once(child, 'exit')
  return status === 0 ? 0 : 1
}

const missing = ['haproxy', 'wrk', 'iperf3'].filter((name) => spawnSync(name, ['-v']).error !== undefined)
if (options.help) process.stdout.write(usage)
else if (process.getuid?.() !== 0) fail('This benchmark needs network namespaces, so it runs as root only.')
else if (missing.length > 0) fail(`Missing here: ${missing.join(', ')}. apt-get install -y ${missing.join(' ')}`)
else if (outerNamespace() === undefined) process.exitCode = await again()
else await measure()
