import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

const serverFile = fileURLToPath(new URL('./stream-server.js', import.meta.url))

/** The n-th 64 KiB of what a stream server sends, unlike any other. */
export const chunk = (n: number): Buffer => Buffer.alloc(65_536, `${n};`)

export interface StreamOptions {
  readonly port: number
  readonly chunks: number
  readonly pauseMs: number
}

/** A TCP server in a network namespace of its own process, which sends chunks with pauses to whoever connects, and ends. */
export const startStreamServer = async (netns: string, options: StreamOptions): Promise<ChildProcess> => {
  const { port, chunks, pauseMs } = options
  const argv = ['netns', 'exec', netns, process.execPath, serverFile, ...[port, chunks, pauseMs].map(String)]
  const child = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

/** A client of one. */
export class Stream {
  /** Resolves when the first bytes are there. */
  readonly begun: Promise<unknown>
  /** How it ended: in good order, after all of so many whole chunks, each of them right; or otherwise. */
  readonly ended: Promise<string>

  constructor(address: string, port: number) {
    const socket = connect({ host: address, port })
    const received: Buffer[] = []
    socket.on('data', (data) => received.push(data))
    this.begun = once(socket, 'data')
    this.begun.catch(() => {})
    this.ended = new Promise((resolve) => {
      socket.on('end', () => resolve(summaryOf(Buffer.concat(received))))
      socket.on('error', ({ message }) => resolve(message))
    })
  }
}

const summaryOf = (bytes: Buffer): string => {
  const whole = Math.floor(bytes.length / 65_536)
  for (let i = 0; i < whole; i++)
    if (!bytes.subarray(65_536 * i, 65_536 * (i + 1)).equals(chunk(i))) return `chunk ${i} is wrong`
  return bytes.length % 65_536 === 0 ? `${whole} chunks` : `broken off in chunk ${whole}`
}
