import { endianness } from 'node:os'
import koffi, { type KoffiFunc } from 'koffi'

/** The calls that Node has no function for. Those on sockets and files answer -1 when they fail. */
interface Libc {
  readonly littleEndian: boolean
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Uint8Array, length: number) => number
  readonly listen: (fd: number, backlog: number) => number
  readonly getsockname: (fd: number, address: Uint8Array, length: Uint32Array) => number
  readonly getsockopt: (fd: number, level: number, option: number, value: Uint8Array, length: Uint32Array) => number
  readonly setsockopt: (fd: number, level: number, option: number, value: Uint8Array, length: number) => number
  readonly recvfrom: KoffiFunc<
    (
      fd: number,
      bytes: Uint8Array,
      length: number,
      flags: number,
      address: Uint8Array,
      addressLength: Uint32Array,
    ) => number
  >
  readonly send: KoffiFunc<(fd: number, bytes: Uint8Array, length: number, flags: number) => number>
  readonly fcntl: KoffiFunc<(fd: number, command: number, type: 'int', value: number) => number>
  readonly flock: (fd: number, operation: number) => number
  /** Of the call just made on this thread. */
  readonly errno: () => number
}

let loaded: Libc | undefined

/** Loads on first use, so that nothing native is touched by code that only encodes. */
export const libc = (): Libc => {
  loaded ??= load()
  return loaded
}

const load = (): Libc => {
  // null = the symbols of this very process, whatever its C library is called (glibc, musl).
  const library = koffi.load(null)
  return {
    littleEndian: endianness() === 'LE',
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, void *, uint32_t)'),
    listen: library.func('int listen(int, int)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
    recvfrom: library.func('long recvfrom(int, void *, size_t, int, void *, void *)'),
    send: library.func('long send(int, void *, size_t, int)'),
    fcntl: library.func('int fcntl(int, int, ...)'),
    flock: library.func('int flock(int, int)'),
    errno: () => koffi.errno(),
  }
}
