/** The one codec of everything that speaks netlink. */
export { align4, littleEndian } from './byte-layout.ts'
export { MessageReader, Reader } from './reader.ts'
export { Writer } from './writer.ts'
