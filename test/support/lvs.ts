/** What tests of src/algorithms are written with. */

import type { Packet } from '../../src/algorithms/packet.ts'
import { createServer, type Server } from '../../src/algorithms/server.ts'
import { type IP, parseIP } from '../../src/model/ip.ts'
import { type Port, parsePort } from '../../src/model/port.ts'

export const ip = (text: string): IP => {
  const parsed = parseIP(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

export const port = (value: number): Port => {
  const parsed = parsePort(value)
  if (parsed === undefined) throw new Error(`not a port: ${value}`)
  return parsed
}

/** Servers 10.1.0.1, 10.1.0.2, … port 80 with these weights. */
export const serversOf = (weights: readonly number[]): Server[] =>
  weights.map((weight, i) =>
    createServer({ ip: ip(`10.1.${Math.floor(i / 250)}.${(i % 250) + 1}`), port: port(80), weight }),
  )

/** From this client and its port to this address. */
export const packetOf = (client = '192.0.2.1', clientPort = 40000, destination = '198.51.100.1'): Packet => ({
  client: ip(client),
  clientPort,
  destination: ip(destination),
})

/** The n-th of 2^32 client addresses. */
export const clientAddress = (n: number): IP => ip(`${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`)
