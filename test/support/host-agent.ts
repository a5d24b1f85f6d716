/**
 * `node host-agent.js NAME [own-ports]`: the process that stands in a host of a scene. It reads requests on stdin, one a line,
 * and answers on stdout.
 */
import type { Agent } from 'node:http'
import { createInterface } from 'node:readline'
import { assertNever } from '../../src/model/assert-never.ts'
import { askHttp, askMany, keptConnection, useOwnPorts } from './clients.ts'
import {
  decodeRequest,
  encodeLine,
  type Held,
  type Hold,
  type Listen,
  type Outcome,
  type Request,
} from './host-protocol.ts'
import { type Stop, serve } from './servers.ts'

const [name = 'unnamed', ports] = process.argv.slice(2)
if (ports === 'own-ports') useOwnPorts()
const listening = new Map<string, Stop>()
const held = new Map<number, { readonly hold: Hold; readonly agent: Agent }>()
let lastConnection = 0

const listenerKey = ({ protocol, port }: Listen): string => `${protocol}/${port}`

const listen = async (body: Listen): Promise<null> => {
  listening.set(listenerKey(body), await serve(name, body))
  return null
}

const unlisten = (body: Listen): null => {
  listening.get(listenerKey(body))?.()
  listening.delete(listenerKey(body))
  return null
}

const hold = async (body: Hold): Promise<Held> => {
  const connection = ++lastConnection
  held.set(connection, { hold: body, agent: keptConnection() })
  return { connection, outcome: await again(connection) }
}

const again = async (connection: number): Promise<Outcome> => {
  const entry = held.get(connection)
  return entry === undefined ? { kind: 'failed', code: 'ENOTCONN' } : askHttp(entry.hold, entry.agent)
}

const release = (connection: number, reset: boolean): null => {
  const agent = held.get(connection)?.agent
  const idle = Object.values(agent?.freeSockets ?? {}).flatMap((sockets) => sockets ?? [])
  if (reset) for (const socket of idle) socket.resetAndDestroy()
  agent?.destroy()
  held.delete(connection)
  return null
}

const perform = async (request: Request): Promise<unknown> => {
  switch (request.op) {
    case 'listen':
      return listen(request.body)
    case 'unlisten':
      return unlisten(request.body)
    case 'ask':
      return askMany(request.body)
    case 'hold':
      return hold(request.body)
    case 'again':
      return again(request.body.connection)
    case 'release':
      return release(request.body.connection, request.body.reset)
    default:
      return assertNever(request, 'request')
  }
}

const answer = async (line: string): Promise<void> => {
  const request = decodeRequest(line)
  try {
    const value = await perform(request)
    process.stdout.write(encodeLine({ id: request.id, kind: 'done', value }))
  } catch (cause) {
    process.stdout.write(encodeLine({ id: request.id, kind: 'error', message: String(cause) }))
  }
}

const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  void answer(line)
})
input.on('close', () => process.exit(0))
process.stdout.write(encodeLine({ id: 0, kind: 'done', value: null }))
