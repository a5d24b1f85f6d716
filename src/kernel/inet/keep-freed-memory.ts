import koffi from 'koffi'

/** Of glibc's malloc.h. */
const M_TRIM_THRESHOLD = -1

/**
 * Tells glibc to give memory back to the kernel only when more than `bytes` of it lie free at the top of a heap, instead of
 * the 128 KiB of mallopt(3). Node allocates 64 KiB for every read from a socket; given back and asked for again each
 * time, they cost more page faults than the copying costs otherwise. For the whole process. Other C libraries have no such
 * setting, and it does nothing there.
 */
export const keepFreedMemory = (bytes: number): void => {
  let mallopt: (parameter: number, value: number) => number
  try {
    mallopt = koffi.load(null).func('int mallopt(int, int)')
  } catch {
    return
  }
  mallopt(M_TRIM_THRESHOLD, bytes)
}
