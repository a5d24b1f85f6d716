import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Clock ticks of /proc per second (sysconf _SC_CLK_TCK, 100 on every Linux that Node runs on). */
const ticksPerSecond = 100

/** A program that was started on some of the processors. */
export class Process {
  readonly #child: ChildProcess
  #output = ''

  /** `cpus`: as for taskset(1). */
  constructor(cpus: string, argv: readonly string[]) {
    this.#child = spawn('taskset', ['-c', cpus, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
    })
  }

  /** taskset(1) becomes the program, so this is the program's. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Waits for a line of its output that begins with `word`; gives the rest of that line. */
  async said(word: string): Promise<string> {
    const line = new RegExp(`^${word}(.*)$`, 'm')
    for (;;) {
      const match = line.exec(this.#output)
      if (match !== null) return (match[1] ?? '').trim()
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) throw new Error(`ended before "${word}"`)
      await sleep(20)
    }
  }

  /** Everything it prints until it ends. */
  async output(): Promise<string> {
    const [status]: unknown[] = await once(this.#child, 'close')
    if (status !== 0) throw new Error(`${this.#child.spawnargs.join(' ')}: status ${status}: ${this.#output}`)
    return this.#output
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  /** Processor time of all its threads so far, in milliseconds. */
  get cpuMs(): number {
    const [, fields = ''] = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')
    const [utime, stime] = fields.split(' ').slice(11, 13).map(Number)
    return (((utime ?? 0) + (stime ?? 0)) * 1000) / ticksPerSecond
  }

  get rssMiB(): number {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) / 1024
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }
}

/** Waits until somebody accepts connections on a loopback port. */
export const listening = async (port: number): Promise<void> => {
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, '127.0.0.1')
    const up = await new Promise<boolean>((resolve) => {
      socket.on('connect', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
    socket.destroy()
    if (up) return
    await sleep(25)
  }
  throw new Error(`nobody listens on port ${port}`)
}
