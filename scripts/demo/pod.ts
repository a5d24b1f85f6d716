/**
 * A pod of the demo without privilege: a process that listens on an address of its own in 127.0.0.0/8 and says its name
 * to whoever connects. Ends with its parent.
 */
import { createServer } from 'node:net'

const [name = '', address = '', port = ''] = process.argv.slice(2)
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.end(`${name}\n`)
})
server.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
server.listen({ host: address, port: Number(port) }, () => process.send?.('ready'))
process.on('disconnect', () => process.exit(0))
