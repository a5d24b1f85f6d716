import { request } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface Ask {
  readonly port: number
  readonly path?: string
  readonly host?: string
  readonly method?: string
  readonly payload?: string
}

/** One request over a connection of its own. */
export const ask = ({ port, path = '/', host = '127.0.0.1', method = 'GET', payload }: Ask): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const req = request({ host, port, path, method, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('latin1')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      })
    })
    req.on('error', reject)
    req.end(payload)
  })

/** Takes a port so that nobody else can. Port 0 = any. */
export const occupy = (port: number, host: string): Promise<{ readonly port: number; free(): Promise<void> }> =>
  new Promise((resolve, reject) => {
    const server: Server = createServer()
    server.on('error', reject)
    server.listen({ port, host, ipv6Only: host.includes(':') }, () => {
      const address = server.address()
      if (address === null || typeof address !== 'object') return reject(new Error('no address'))
      resolve({ port: address.port, free: () => new Promise((done) => server.close(() => done())) })
    })
  })

/** A port that nobody listened on a moment ago. */
export const freePort = async (host: string): Promise<number> => {
  const taken = await occupy(0, host)
  await taken.free()
  return taken.port
}

/** An open connection that says nothing, and a promise of its end. */
export const silentClient = (port: number, host: string): Promise<{ readonly ended: Promise<void>; socket: Socket }> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, host)
    socket.on('error', reject)
    const ended = new Promise<void>((done) => socket.on('close', () => done()))
    socket.resume()
    socket.on('connect', () => resolve({ ended, socket }))
  })
