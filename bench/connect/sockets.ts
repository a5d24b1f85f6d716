/**
 * TCP sockets by system call: a connection is opened in one blocking call whose time is the kernel's alone, without an
 * event loop in between. Numbers are Linux's for x86 and arm.
 */
import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { type IP, writeIP } from '../../src/model/ip.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_LINGER = 13
const SO_SNDTIMEO = 21
const EAGAIN = 11
const CLONE_NEWNET = 0x40000000

// null = the symbols of this very process, whatever its C library is called.
const library = koffi.load(null)
const libc = {
  socket: library.func('int socket(int, int, int)'),
  bind: library.func('int bind(int, void *, uint32_t)'),
  listen: library.func('int listen(int, int)'),
  connect: library.func('int connect(int, void *, uint32_t)'),
  accept4: library.func('int accept4(int, void *, void *, int)'),
  setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
  close: library.func('int close(int)'),
  setns: library.func('int setns(int, int)'),
} satisfies Record<string, (...args: never[]) => number>

const check = (what: string, result: number): number => {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`)
  return result
}

/** This thread, and the sockets it makes from now on, belong to the named network namespace. */
export const enterNetns = (name: string): void => {
  const fd = openSync(`/run/netns/${name}`, 'r')
  try {
    check(`setns ${name}`, libc.setns(fd, CLONE_NEWNET))
  } finally {
    closeSync(fd)
  }
}

const socketAddress = (ip: string, port: number): Uint8Array => {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  writeIP(ip as IP, bytes, 4)
  return bytes
}

const option = (fd: number, name: number, ...values: readonly number[]): void => {
  const bytes = new Uint8Array(new Int32Array(values).buffer)
  check(`setsockopt ${name}`, libc.setsockopt(fd, SOL_SOCKET, name, bytes, bytes.length))
}

/** A listener on every address of the namespace that this thread is in. */
export class Listener {
  readonly #fd: number

  constructor(port: number, backlog: number) {
    this.#fd = check('socket', libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0))
    option(this.#fd, SO_REUSEADDR, 1)
    const address = socketAddress('0.0.0.0', port)
    check('bind', libc.bind(this.#fd, address, address.length))
    check('listen', libc.listen(this.#fd, backlog))
  }

  /** Takes every connection that waits and ends it. Returns how many there were. */
  drain(): number {
    for (let count = 0; ; count++) {
      const fd = libc.accept4(this.#fd, null, null, 0)
      if (fd >= 0) libc.close(fd)
      else if (koffi.errno() === EAGAIN) return count
      else throw new Error(`accept: errno ${koffi.errno()}`)
    }
  }
}

/** Something to connect to. The address is encoded once. */
export class Destination {
  readonly #text: string
  readonly #address: Uint8Array

  constructor(ip: string, port: number) {
    this.#text = `${ip}:${port}`
    this.#address = socketAddress(ip, port)
  }

  /**
   * Microseconds that connect(2) takes from the namespace that this thread is in: SYN, SYN-ACK and everything the node
   * between does with them. The connection is reset at once, so no port stays in TIME_WAIT.
   */
  open(): number {
    const fd = check('socket', libc.socket(AF_INET, SOCK_STREAM, 0))
    try {
      option(fd, SO_LINGER, 1, 0)
      // struct timeval: seconds and microseconds of 64 bits each.
      option(fd, SO_SNDTIMEO, 2, 0, 0, 0)
      const start = process.hrtime.bigint()
      const result = libc.connect(fd, this.#address, this.#address.length)
      const end = process.hrtime.bigint()
      check(`connect ${this.#text}`, result)
      return Number(end - start) / 1000
    } finally {
      libc.close(fd)
    }
  }
}
