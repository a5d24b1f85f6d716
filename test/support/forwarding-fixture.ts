/** Engines and endpoints that end with their test; for vitest. */
import { afterEach } from 'vitest'
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import type { Forwarder, ForwarderOptions } from '../../src/backends/userspace/forward/forwarder.ts'
import { type TestServer, until } from './forwarding.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** What is to be undone after the test, last first. */
export const afterwards = (cleanup: () => unknown): void => void cleanups.push(cleanup)

export const forwarding = (options: Partial<ForwarderOptions> = {}): Forwarder => {
  const forwarder = createForwarder(options)
  afterwards(() => forwarder.close(0))
  return forwarder
}

export const running = async (starting: Promise<TestServer>): Promise<TestServer> => {
  const server = await starting
  afterwards(server.close)
  return server
}

/** The endpoint's side of a connection that has just been opened. */
export const accepted = async (server: TestServer, index = 0) => {
  await until(() => server.connections.length > index, 'the endpoint has a connection')
  const socket = server.connections[index]
  if (socket === undefined) throw new Error('no connection')
  return socket
}
