/** A thread of the engine. Only ever started by threads.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { Engine } from './engine.ts'
import type { EngineSetup, FromThread, ToThread } from './messages.ts'

const port = parentPort
if (port === null) throw new Error('this module runs in a worker thread only')

const tell = (message: FromThread): void => port.postMessage(message)

// Both ends are this program, so what they say is taken on trust.
const engine = new Engine(workerData as EngineSetup, (event) => tell({ kind: 'event', event }))

port.on('message', (message: ToThread) => {
  const { number } = message
  if (message.kind === 'apply') {
    engine.apply(message.change)
    tell({ kind: 'done', number })
    return
  }
  // Nothing else keeps the thread once the engine has closed.
  void engine.close(message.drainMs).then(() => {
    tell({ kind: 'done', number })
    port.close()
  })
})
