import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { ObserveError, type ObserveErrorCode } from '../../../src/observe/error.ts'
import { listen, listenTcp } from '../../../src/observe/http/listen.ts'
import { router, textReply } from '../../../src/observe/http/reply.ts'
import { type RunningServer, type ServeOptions, serve } from '../../../src/observe/http/serve.ts'
import { closeServer, httpServer } from '../../../src/observe/http/server.ts'
import { ask, occupy, silentClient } from './support/http.ts'

const ignore = (): void => {}
const hello = router(new Map([['/', () => textReply(200, 'hello')]]), ignore)
const options: ServeOptions = { address: '127.0.0.1', port: 0, hardFail: true, onError: ignore }
const never = new AbortController().signal

const portOf = ({ port }: RunningServer): number => {
  if (port === undefined) throw new Error('not bound')
  return port
}

const reached = async (port: number, host: string): Promise<boolean> => {
  try {
    return (await ask({ port, host })).body === 'hello'
  } catch {
    return false
  }
}

describe('the address', () => {
  test.each([
    { address: '0.0.0.0', ipv4: true, ipv6: true },
    { address: '::', ipv4: true, ipv6: true },
    { address: '127.0.0.1', ipv4: true, ipv6: false },
    { address: '::1', ipv4: false, ipv6: true },
  ])('$address accepts IPv4: $ipv4, IPv6: $ipv6', async ({ address, ipv4, ipv6 }) => {
    const server = await serve({ ...options, address }, hello, never)
    const port = portOf(server)
    expect([await reached(port, '127.0.0.1'), await reached(port, '::1')]).toEqual([ipv4, ipv6])
    await server.close()
  })

  test.each(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])('a wildcard is IPv4 alone where :: fails with %s', async (code) => {
    const http = createServer(hello)
    const hosts: string[] = []
    const port = await listenTcp(http, '::', 0, (server, address) => {
      hosts.push(address.host)
      if (address.host !== '::') return listen(server, address)
      return Promise.reject(new ObserveError('addressNotAvailable', 'listen', Object.assign(new Error(code), { code })))
    })
    expect(hosts).toEqual(['::', '0.0.0.0'])
    expect([await reached(port, '127.0.0.1'), await reached(port, '::1')]).toEqual([true, false])
    await closeServer(http)
  })

  test('a wildcard whose port is taken is not tried on IPv4 alone', async () => {
    const taken = await occupy(0, '::')
    await expect(serve({ ...options, address: '0.0.0.0', port: taken.port }, hello, never)).rejects.toMatchObject({
      code: 'portInUse',
      op: `listen [::]:${taken.port}`,
    })
    await taken.free()
  })
})

describe('with hardFail', () => {
  test('a port in use rejects, and says which', async () => {
    const taken = await occupy(0, '127.0.0.1')
    const attempt = serve({ ...options, port: taken.port }, hello, never)
    await expect(attempt).rejects.toBeInstanceOf(ObserveError)
    await expect(attempt).rejects.toMatchObject({
      code: 'portInUse' satisfies ObserveErrorCode,
      op: `listen 127.0.0.1:${taken.port}`,
      cause: { code: 'EADDRINUSE' },
    })
    await taken.free()
  })

  test('an address of another machine rejects', async () => {
    await expect(serve({ ...options, address: '192.0.2.1' }, hello, never)).rejects.toMatchObject({
      code: 'addressNotAvailable' satisfies ObserveErrorCode,
    })
  })
})

describe('without hardFail', () => {
  test('a port in use is tried again until it is free', async () => {
    const taken = await occupy(0, '127.0.0.1')
    const errors: unknown[] = []
    const server = await serve(
      { ...options, port: taken.port, hardFail: false, retryMs: 10, onError: (error) => errors.push(error) },
      hello,
      never,
    )
    expect(server.port).toBeUndefined()
    await expect.poll(() => errors.length).toBeGreaterThan(2)
    expect(errors[0]).toMatchObject({ code: 'portInUse' })
    await taken.free()
    await server.bound
    expect(server.port).toBe(taken.port)
    expect(await reached(taken.port, '127.0.0.1')).toBe(true)
    await server.close()
  })

  test('close() ends an attempt under way', async () => {
    const taken = await occupy(0, '127.0.0.1')
    const quick = { ...options, port: taken.port, hardFail: false, retryMs: 0 }
    const server = await serve(quick, hello, never)
    await taken.free()
    // One turn of the loop in: the timer has fired, the bind has begun or ended.
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
    await server.close()
    expect(server.port).toBeUndefined()
    expect(await reached(taken.port, '127.0.0.1')).toBe(false)
  })

  test('close() ends the attempts', async () => {
    const taken = await occupy(0, '127.0.0.1')
    let attempts = 0
    const onError = (): void => void attempts++
    const server = await serve({ ...options, port: taken.port, hardFail: false, retryMs: 5, onError }, hello, never)
    await expect.poll(() => attempts).toBeGreaterThan(1)
    await server.close()
    const then = attempts
    await taken.free()
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(attempts).toBe(then)
    expect(server.port).toBeUndefined()
    expect(await reached(taken.port, '127.0.0.1')).toBe(false)
  })
})

describe('the end', () => {
  test('close() cuts idle, silent and half-way clients, and frees the port at once', async () => {
    const server = await serve(options, hello, never)
    const port = portOf(server)
    const silent = await silentClient(port, '127.0.0.1')
    const halfWay = await silentClient(port, '127.0.0.1')
    halfWay.socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
    const idle = await silentClient(port, '127.0.0.1')
    const answered = new Promise((resolve) => idle.socket.once('data', resolve))
    idle.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await answered
    await server.close()
    await Promise.all([silent.ended, halfWay.ended, idle.ended])
    const again = await serve({ ...options, port }, hello, never)
    await again.close()
    await again.close()
  })

  test('comes with the signal too', async () => {
    const controller = new AbortController()
    const server = await serve(options, hello, controller.signal)
    const port = portOf(server)
    controller.abort()
    await expect.poll(() => reached(port, '127.0.0.1')).toBe(false)
    expect(server.port).toBeUndefined()
  })

  test('comes to a bind under way', async () => {
    const controller = new AbortController()
    const starting = serve(options, hello, controller.signal)
    controller.abort()
    const server = await starting
    await server.close()
    expect(server.port).toBeUndefined()
  })

  test('is there from the beginning when the signal has aborted', async () => {
    await expect(serve(options, hello, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('requests', () => {
  test('a route that throws is a 500 and told', async () => {
    const told: unknown[] = []
    const broken = (): never => {
      throw new Error('broken')
    }
    const listener = router(new Map([['/', broken]]), (cause) => told.push(cause))
    const server = await serve(options, listener, never)
    expect(await ask({ port: portOf(server) })).toMatchObject({ status: 500, body: 'internal server error\n' })
    expect(told).toMatchObject([{ message: 'broken' }])
    await server.close()
  })

  test('a target in absolute form is its path', async () => {
    const server = await serve(options, hello, never)
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(portOf(server), '127.0.0.1')
      let received = ''
      socket.on('data', (chunk) => (received += chunk.toString('latin1')))
      socket.on('error', reject)
      socket.on('close', () => resolve(received))
      socket.write('GET http://node:10256/ HTTP/1.1\r\nHost: node:10256\r\nConnection: close\r\n\r\n')
    })
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)+\r\nhello$/)
    await server.close()
  })
})

describe('a slow or greedy client', () => {
  test('is cut off, whatever it is slow with', async () => {
    const http = httpServer(hello, { maxConnections: 10, requestMs: 40 })
    const port = await listen(http, { host: '127.0.0.1', port: 0, ipv6Only: false })
    const began = performance.now()
    const silent = await silentClient(port, '127.0.0.1')
    const dripping = await silentClient(port, '127.0.0.1')
    dripping.socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => dripping.socket.write('X: y\r\n'), 5)
    const body = await silentClient(port, '127.0.0.1')
    body.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n')
    await Promise.all([silent.ended, dripping.ended.finally(() => clearInterval(drip)), body.ended])
    expect(performance.now() - began).toBeGreaterThanOrEqual(40)
    await closeServer(http)
  })

  test('is cut off beyond the number of connections', async () => {
    const http = httpServer(hello, { maxConnections: 2 })
    const port = await listen(http, { host: '127.0.0.1', port: 0, ipv6Only: false })
    const kept = [await silentClient(port, '127.0.0.1'), await silentClient(port, '127.0.0.1')]
    const third = await silentClient(port, '127.0.0.1')
    await third.ended
    expect(kept.map(({ socket }) => socket.destroyed)).toEqual([false, false])
    await closeServer(http)
  })
})
