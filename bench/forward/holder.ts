/** Idle connections: `node holder.js serve` accepts and waits, `node holder.js connect PORT COUNT` opens and waits. */
import { connect, createServer } from 'node:net'
import { ports } from './ports.ts'

/** Connections that are being opened at a time: fewer than any backlog. */
const atOnce = 100

const open = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', reject)
    // The endpoint speaks first, so the whole path is there when it has.
    socket.once('data', () => resolve())
  })

const [, , role, port, count] = process.argv
if (role === 'serve') {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.end())
    socket.resume()
    socket.write('.')
  })
  server.listen({ port: ports.holder, host: '127.0.0.1', backlog: 4096 }, () => process.stdout.write('ready\n'))
} else {
  for (let left = Number(count); left > 0; left -= atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, left) }, () => open(Number(port))))
  process.stdout.write('ready\n')
  setInterval(() => {}, 1000)
}
