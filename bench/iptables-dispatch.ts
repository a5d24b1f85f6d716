/**
 * `node build/bench/iptables-dispatch.js`: what finding a Service costs the first packet of a connection, in kube-proxy's
 * linear KUBE-SERVICES and in the tree. Runs itself again in namespaces of its own; whatever way it ends, nothing is left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { defaultLeafSize } from '../src/backends/iptables/tree/tree.ts'
import { namespaceCommand, namespaceEnvironment, outerNamespace } from '../test/support/namespace.ts'
import { iptablesDispatchSection } from './iptables-dispatch/section.ts'
import { load, machine, quiet } from './machine.ts'
import { Report } from './report.ts'

const usage = `usage: node build/bench/iptables-dispatch.js [OPTION...]
  --quick             fewer connections
  --services N,...    numbers of Services; 1 is always measured (1,10,50,100,500,1000,10000)
  --leaf-sizes N,...  entries in a leaf of the tree (${defaultLeafSize})
  --seed N            of the addresses (1)
  --json FILE         write the results there too
`

const fail = (text: string): never => {
  process.stderr.write(`${text}\n${usage}`)
  process.exit(2)
}

const numbers = (flag: string, text: string): readonly number[] => {
  const list = text.split(',').map(Number)
  if (list.some((value) => !Number.isInteger(value) || value < 1 || value > 100_000))
    return fail(`${flag}: "${text}" are no whole numbers from 1 to 100000`)
  return [...new Set(list)]
}

const readOptions = () => {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        quick: { type: 'boolean', default: false },
        services: { type: 'string', default: '1,10,50,100,500,1000,10000' },
        'leaf-sizes': { type: 'string', default: String(defaultLeafSize) },
        seed: { type: 'string', default: '1' },
        json: { type: 'string' },
      },
    })
    return values
  } catch (cause) {
    return fail(cause instanceof Error ? cause.message : String(cause))
  }
}

const options = readOptions()
const { quick, json } = options
const sizes = numbers('--services', options.services)
const leafSizes = numbers('--leaf-sizes', options['leaf-sizes'])
const [seed = 1] = numbers('--seed', options.seed)

const measure = async (): Promise<void> => {
  const startedAt = new Date()
  const print = (text: string): void => void process.stdout.write(text)
  const report = new Report(print)
  const facts = machine()
  print(`${Object.entries(facts).flat().join(' ')} seed ${seed}\n`)
  let noisy = false
  const begin = async (group: string): Promise<void> => {
    if (!(await quiet(quick ? 1_000 : 10_000))) noisy = true
    report.begin(group, load())
  }
  await iptablesDispatchSection({ report, begin, seed, quick, sizes, leafSizes })
  print(`${report.targets()}\n`)
  if (noisy) print('Others used the processors during this run: expect figures above those of a quiet machine.\n')
  const { measures } = report
  const results = { startedAt: startedAt.toISOString(), machine: facts, seed, quick, sizes, leafSizes, noisy, measures }
  if (json === undefined) return
  mkdirSync(dirname(json), { recursive: true })
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

if (options.help) process.stdout.write(usage)
else if (outerNamespace() === undefined) process.exitCode = await again()
else await measure()
