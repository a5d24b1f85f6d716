/** The machine around the guest, as programs in the guest see it. */
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { PassThrough, Writable } from 'node:stream'
import koffi from 'koffi'
import { type Machine, type Program, runOn, thisMachine } from './machine.ts'
import { type FromGuest, line, lineOf, readToGuest, trunk } from './uml-line.ts'

/** sched.h */
const CLONE_NEWNET = 0x40000000
// null = the symbols of this very process, whatever its C library is called.
const setns: (fd: number, kind: number) => number = koffi.load(null).func('int setns(int, int)')

const enter = (namespace: number): void => {
  if (setns(namespace, CLONE_NEWNET) < 0) throw new Error(`setns: errno ${koffi.errno()}`)
}

/** A namespace of its own, so that the node has neither the device, of the same name, nor its address. */
const netns = 'line'

/** A socket stays in the namespace in which it was made. */
const openLine = async (): Promise<Socket> => {
  const commands = [
    `netns add ${netns}`,
    `link set ${trunk} addrgenmode none up`,
    `link add link ${trunk} name ${netns} netns ${netns} type macvlan mode private`,
  ]
  await runOn(thisMachine, ['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` })
  const setUp = [`addr add ${line.inside}/${line.bits} dev ${netns}`, `link set ${netns} up`]
  await runOn(thisMachine, ['ip', '-n', netns, '-batch', '-'], { input: `${setUp.join('\n')}\n` })
  const [own, other] = ['/proc/self/ns/net', `/run/netns/${netns}`].map((path) => openSync(path, 'r'))
  if (own === undefined || other === undefined) throw new TypeError('no namespace')
  enter(other)
  try {
    const socket = connect(line.port, line.outside)
    await once(socket, 'connect')
    return socket.setNoDelay()
  } finally {
    enter(own)
    closeSync(own)
    closeSync(other)
  }
}

interface Running {
  readonly stdout: PassThrough
  readonly end: (failure: string | undefined) => void
}

class MachineOutside implements Machine {
  readonly #socket: Socket
  readonly #running = new Map<number, Running>()
  #lastId = 0

  constructor(socket: Socket) {
    this.#socket = socket
    createInterface({ input: socket }).on('line', (text) => this.#receive(text))
    socket.unref()
  }

  start(argv: readonly string[], { collectErrors = false } = {}): Program {
    const id = ++this.#lastId
    const stdout = new PassThrough()
    const ended = new Promise<string | undefined>((resolve) => {
      this.#running.set(id, { stdout, end: resolve })
    })
    this.#socket.ref()
    this.#send({ kind: 'start', id, argv, collectErrors })
    const stdin = new Writable({
      decodeStrings: false,
      write: (text, _, done) => {
        this.#send({ kind: 'input', id, text: String(text) })
        done()
      },
      final: (done) => {
        this.#send({ kind: 'inputEnds', id })
        done()
      },
    })
    return { stdin, stdout, ended, kill: () => this.#send({ kind: 'kill', id }) }
  }

  #send(message: FromGuest): void {
    this.#socket.write(lineOf(message))
  }

  #receive(text: string): void {
    const message = readToGuest(text)
    const running = this.#running.get(message.id)
    if (message.kind === 'output') running?.stdout.write(message.text)
    else {
      this.#running.delete(message.id)
      if (this.#running.size === 0) this.#socket.unref()
      running?.stdout.end()
      running?.end(message.failure)
    }
  }
}

let opened: Promise<Machine> | undefined

/** For programs in a guest of `ownGuest`. One process of the guest may use it. */
export const machineOutside = (): Promise<Machine> => {
  opened ??= openLine().then((socket) => new MachineOutside(socket))
  return opened
}
