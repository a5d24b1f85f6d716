/** The process behind {@link StreamServers}: `node stream-server.js PORT CHUNKS PAUSE_MS`. */
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { chunk } from './streams.ts'

const [port = 0, chunks = 0, pauseMs = 0] = process.argv.slice(2).map(Number)

const server = createServer(async (socket) => {
  socket.on('error', () => {})
  for (let i = 0; i < chunks && !socket.destroyed; i++) {
    socket.write(chunk(i))
    await sleep(pauseMs)
  }
  socket.end()
})
server.listen(port, '::', () => console.log('listening'))
