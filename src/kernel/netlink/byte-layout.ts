import { endianness } from 'node:os'

/** Headers are in host order; payloads say their own order in the name of the call. */
export const littleEndian = endianness() === 'LE'

export const align4 = (length: number): number => (length + 3) & ~3
