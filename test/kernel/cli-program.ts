import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { get as httpGet, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** The program as `npm run build:all` left it. */
const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Runs the program through this command, such as `setpriv …`. */
  readonly through?: readonly string[]
}

export interface Ended {
  readonly status: number | null
  readonly killer: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A weir process in this test's network namespace. */
class Weir {
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], { env = {}, through = [] }: StartOptions = {}) {
    const [command = '', ...rest] = [...through, process.execPath, program, ...args]
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (status, killer) => resolve({ status, killer, stdout: this.#stdout, stderr: this.#stderr }))
    })
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('weir could not be started')
    return pid
  }

  /** Everything on standard error so far. */
  get log(): string {
    return this.#stderr
  }

  lines(pattern: RegExp): readonly string[] {
    return this.#stderr.split('\n').filter((line) => pattern.test(line))
  }

  /** Resolves when the log has such a line. */
  async says(pattern: RegExp, limitMs = 20_000): Promise<void> {
    const early = this.ended.then(() => 'ended')
    const end = Date.now() + limitMs
    while (!pattern.test(this.#stderr)) {
      if ((await Promise.race([sleep(10), early])) === 'ended' && !pattern.test(this.#stderr))
        throw new Error(`weir ended without saying ${pattern}:\n${this.#stderr}`)
      if (Date.now() > end) throw new Error(`weir has not said ${pattern}:\n${this.#stderr}`)
    }
  }

  async serving(): Promise<this> {
    await this.says(/Caches are full/)
    return this
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.#child.kill(signal)
    return this.ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/** A weir process that does not outlive the test. */
export const startWeir = (t: Pick<Test, 'teardown'>, args: readonly string[], options: StartOptions = {}): Weir => {
  const weir = new Weir(args, options)
  t.teardown(() => weir.end('SIGKILL'))
  return weir
}

/** A weir process that ends by itself. */
export const runWeir = (args: readonly string[], options: StartOptions = {}): Promise<Ended> =>
  new Weir(args, options).ended

export const sh = (command: string, input = ''): string =>
  execFileSync('sh', ['-ec', command], { input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] })

/** A folder that goes with this process. */
export const temporaryFolder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'weir-cli-'))
  process.on('exit', () => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Polls until `look` gives what `want` accepts; a failure shows what it gave last. */
export const eventually = async <T>(
  look: () => T | Promise<T>,
  want: (value: T) => boolean,
  limitMs = 30_000,
): Promise<T> => {
  const end = Date.now() + limitMs
  for (;;) {
    const value = await look()
    if (want(value)) return value
    if (Date.now() > end) throw new Error(`still not as wanted: ${JSON.stringify(value)}`)
    await sleep(20)
  }
}

/** The parts of `nft -j list` that are read here. */
interface Listing {
  readonly nftables: readonly Readonly<Record<string, { readonly elem?: readonly unknown[] } | undefined>>[]
}

const flat = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(flat).join(' ')
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .filter(([name]) => name !== 'comment')
    .map(([, part]) => flat(part))
    .join(' ')
}

/**
 * The elements of a set or map of our table as the kernel has them, sorted: `10.96.0.10 tcp 80 random-upto4`. No such
 * table: undefined.
 */
export const elements = (name: string, family: 'ip' | 'ip6' = 'ip'): readonly string[] | undefined => {
  const kind = name.includes('ips') || name.includes('guarded') || name.includes('allowed') ? 'set' : 'map'
  let text: string
  try {
    text = sh(`nft -j list ${kind} ${family} weir ${name}`)
  } catch {
    return undefined
  }
  const { nftables } = JSON.parse(text) as Listing
  return nftables
    .flatMap((part) => part[kind]?.elem ?? [])
    .map(flat)
    .sort()
}

/** `10.96.0.10 tcp 80` of every virtual server that has endpoints. */
export const services = (family: 'ip' | 'ip6' = 'ip'): readonly string[] | undefined =>
  elements('services', family)?.map((line) => line.split(' ').slice(0, 3).join(' '))

/** `10.96.0.10 tcp 80 0 10.244.0.1 8080`: virtual server, slot, real server. */
export const endpoints = (family: 'ip' | 'ip6' = 'ip'): readonly string[] | undefined => elements('endpoints', family)

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export const get = (url: string): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    httpGet(url, { agent: false, timeout: 5_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      response.on('error', reject)
    }).on('error', reject)
  })

/** The value of each series of the metrics port, by its name and labels as they are written. */
export const metrics = async (port = 10249): Promise<ReadonlyMap<string, number>> => {
  const { body } = await get(`http://127.0.0.1:${port}/metrics`)
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}
