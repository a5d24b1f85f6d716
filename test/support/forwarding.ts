/** Endpoints, clients and specs for tests of the userspace forwarding engine, on loopback addresses. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  Forwarder,
  ForwarderChange,
  ListenerSpec,
  ListenerState,
  ServerStats,
  VirtualServerSpec,
} from '../../src/backends/userspace/forward/forwarder.ts'
import type { Target } from '../../src/model/desired.ts'
import { type IP, parseIP } from '../../src/model/ip.ts'
import { parsePort } from '../../src/model/port.ts'
import { defaultScheduling, type Scheduler } from '../../src/model/scheduling.ts'

export const ip = (text: string): IP => {
  const parsed = parseIP(text)
  if (parsed === undefined) throw new TypeError(`no address: ${text}`)
  return parsed
}

export const target = (port: number, weight = 1, address = '127.0.0.1'): Target => {
  const parsed = parsePort(port)
  if (parsed === undefined) throw new TypeError(`no port: ${port}`)
  return { ip: ip(address), port: parsed, weight, local: true }
}

export const serverSpec = (
  targets: readonly Target[],
  { scheduler = 'rr', ...rest }: Partial<VirtualServerSpec> & { readonly scheduler?: Scheduler } = {},
): VirtualServerSpec => ({
  id: 'server',
  protocol: 'TCP',
  targets,
  scheduling: { ...defaultScheduling, scheduler },
  affinitySeconds: undefined,
  proxyProtocol: false,
  maxConnections: undefined,
  ...rest,
})

export const listenerSpec = (over: Partial<ListenerSpec> = {}): ListenerSpec => ({
  id: 'listener',
  protocol: 'TCP',
  address: ip('127.0.0.1'),
  port: 0,
  server: 'server',
  near: undefined,
  frontend: undefined,
  redirected: false,
  ...over,
})

export const changeOf = (
  servers: readonly VirtualServerSpec[],
  listeners: readonly ListenerSpec[] = [],
): ForwarderChange => ({
  servers: new Map(servers.map((spec) => [spec.id, spec])),
  listeners: new Map(listeners.map((spec) => [spec.id, spec])),
})

export const never: AbortSignal = new AbortController().signal

/** Applies one server and one listener for it; the port that clients use. */
export const serve = async (
  forwarder: Forwarder,
  server: VirtualServerSpec,
  listener: Partial<ListenerSpec> = {},
): Promise<number> => {
  const spec = listenerSpec({ protocol: server.protocol, server: server.id, ...listener })
  return portOf(await forwarder.apply(changeOf([server], [spec]), never), spec.id)
}

export const portOf = (states: readonly ListenerState[], id = 'listener'): number => {
  const state = states.find((one) => one.id === id)
  if (state?.port === undefined) throw new Error(`${id} does not listen`, { cause: state?.error })
  return state.port
}

export const statsOf = (forwarder: Forwarder, id = 'server'): ServerStats => {
  const stats = forwarder.stats().servers.find((server) => server.id === id)
  if (stats === undefined) throw new Error(`no server ${id}`)
  return stats
}

/** Waits until `holds`, at most `limitMs`. */
export const until = async (holds: () => boolean, what: string, limitMs = 5000): Promise<void> => {
  for (const end = performance.now() + limitMs; !holds(); await sleep(5))
    if (performance.now() > end) throw new Error(`never: ${what}`)
}

/** A TCP endpoint that hands over its connections. */
export interface TestServer {
  readonly port: number
  readonly connections: readonly Socket[]
  readonly close: () => Promise<void>
}

export const tcpServer = async (
  onConnection: (socket: Socket) => void = () => {},
  { host = '127.0.0.1', port = 0 } = {},
): Promise<TestServer> => {
  const connections: Socket[] = []
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.push(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close: async () => {
      for (const socket of connections) socket.destroy()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

/** Answers each connection with `name`, and closes. */
export const namedServer = (name: string): Promise<TestServer> => tcpServer((socket) => void socket.end(name))

export const echoServer = (): Promise<TestServer> => tcpServer((socket) => void socket.pipe(socket))

export interface ClientOptions {
  readonly host?: string
  readonly from?: string
}

export const tcpClient = async (port: number, { host = '127.0.0.1', from }: ClientOptions = {}): Promise<Socket> => {
  const socket = connect({ port, host, allowHalfOpen: true, ...(from === undefined ? {} : { localAddress: from }) })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Everything that comes until FIN; or the error's code. */
export const readAll = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('close', () => resolve('closed'))
  })

/** One connection: what the endpoint says, to which nothing is said. */
export const ask = async (port: number, options: ClientOptions = {}): Promise<string> => {
  const socket = await tcpClient(port, options)
  const answer = await readAll(socket)
  socket.end()
  return answer
}

export const unusedPort = async (): Promise<number> => {
  const server = await tcpServer()
  await server.close()
  return server.port
}

export interface TestUdp {
  readonly port: number
  readonly socket: UdpSocket
  /** What has arrived, as `port text`. */
  readonly received: { readonly port: number; readonly text: string }[]
  readonly close: () => void
}

/** Answers each datagram with `name:` and the datagram; silent without a name. */
export const udpServer = async (name?: string, { host = '127.0.0.1', port = 0 } = {}): Promise<TestUdp> => {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const received: { port: number; text: string }[] = []
  let open = true
  socket.on('error', () => {})
  socket.on('message', (datagram, from) => {
    received.push({ port: from.port, text: datagram.toString() })
    if (name !== undefined) socket.send(`${name}:${datagram.toString()}`, from.port, from.address)
  })
  socket.bind(port, host)
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    socket,
    received,
    close: () => {
      if (open) socket.close()
      open = false
    },
  }
}

/** Sends and gives the next answer; undefined when none comes within `waitMs`. */
export const askUdp = async (from: TestUdp, port: number, text: string, waitMs = 2000): Promise<string | undefined> => {
  const before = from.received.length
  from.socket.send(text, port, '127.0.0.1')
  for (const end = performance.now() + waitMs; performance.now() < end; await sleep(2))
    if (from.received.length > before) return from.received[before]?.text
  return undefined
}
