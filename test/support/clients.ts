import { createSocket } from 'node:dgram'
import { Agent, type ClientRequestArgs, get } from 'node:http'
import { isIPv6 } from 'node:net'
import { assertNever } from '../../src/model/assert-never.ts'
import { type Ask, decodeGreeting, type Hold, type Outcome } from './host-protocol.ts'
import { askSctp } from './raw-sctp.ts'

/** Below and above are ports that servers of tests have. */
const ownPorts = { first: 31_001, last: 60_999 } as const
let lastPort: number | undefined

/**
 * From now on every connection of this process has a source port that none has had for a long time, wherever it goes. The
 * kernel looks for one that is free towards one address and port, and may use it towards several at once.
 */
export const useOwnPorts = (): void => {
  lastPort = ownPorts.last
}

const withOwnPort = (ask: Ask): Ask => {
  if (lastPort === undefined || ask.sourcePort !== undefined) return ask
  lastPort = lastPort === ownPorts.last ? ownPorts.first : lastPort + 1
  return { ...ask, sourcePort: lastPort }
}

/** All `count` connections; never rejects, outcomes in the order of their start. */
export const askMany = async (ask: Ask): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < ask.count) {
      const index = next++
      outcomes[index] = await askOnce(withOwnPort(ask))
    }
  }
  await Promise.all(Array.from({ length: Math.min(ask.parallel, ask.count) }, worker))
  return outcomes
}

const askOnce = (ask: Ask): Promise<Outcome> => {
  switch (ask.protocol) {
    case 'TCP':
      return askHttp(ask, false)
    case 'UDP':
      return askUdp(ask)
    case 'SCTP':
      return askSctp(ask)
    default:
      return assertNever(ask.protocol, 'protocol')
  }
}

const failure = (error: NodeJS.ErrnoException): Outcome =>
  error.code === 'ECONNREFUSED' ? { kind: 'refused' } : { kind: 'failed', code: error.code ?? error.message }

/** One GET. Without an agent it has a connection of its own; `kept` keeps its one connection for the next. */
export const askHttp = (ask: Hold, kept: Agent | false): Promise<Outcome> =>
  new Promise((resolve) => {
    const signal = AbortSignal.timeout(ask.timeoutMs)
    const fail = (error: Error): void => resolve(signal.aborted ? { kind: 'timeout' } : failure(error))
    const target: ClientRequestArgs = { host: ask.address, port: ask.port, agent: kept, signal }
    if (ask.sourceAddress !== undefined) target.localAddress = ask.sourceAddress
    if (ask.sourcePort !== undefined) target.localPort = ask.sourcePort
    const request = get(target, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', fail)
      response.on('end', () => resolve({ kind: 'answered', ...decodeGreeting(body) }))
    })
    request.on('error', fail)
  })

/** An agent that holds on to one connection. */
export const keptConnection = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 })

const askUdp = (ask: Ask): Promise<Outcome> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(ask.address) ? 'udp6' : 'udp4')
    const finish = (outcome: Outcome): void => {
      clearTimeout(timer)
      socket.removeAllListeners()
      socket.close(() => resolve(outcome))
    }
    const timer = setTimeout(finish, ask.timeoutMs, { kind: 'timeout' })
    socket.on('error', (error) => finish(failure(error)))
    socket.on('message', (data) => finish({ kind: 'answered', ...decodeGreeting(data.toString()) }))
    socket.on('connect', () => socket.send('?'))
    const connect = (): void => socket.connect(ask.port, ask.address)
    if (ask.sourceAddress === undefined && ask.sourcePort === undefined) connect()
    else socket.bind(ask.sourcePort ?? 0, ask.sourceAddress, connect)
  })
