import { endianness } from 'node:os'
import type { Family } from '../../model/ip.ts'

/** A classic BPF instruction, struct sock_filter of linux/filter.h. */
type Instruction = readonly [code: number, jt: number, jf: number, k: number]

const LD_W_ABS = 0x20
const LDX_W_MEM = 0x61
const ST = 0x02
const ALU_XOR_X = 0xac
const ALU_MUL_K = 0x24
const ALU_RSH_K = 0x74
const ALU_MOD_K = 0x94
const RET_A = 0x16

/** Offsets below it count from the network header. */
const SKF_NET_OFF = -0x100000

/** Where the source address is in an IPv4 or IPv6 header. */
const sourceWords = { IPv4: [12], IPv6: [8, 12, 16, 20] } as const satisfies Record<Family, readonly number[]>

/**
 * A program for SO_ATTACH_REUSEPORT_CBPF (socket(7)) that chooses among `sockets` sockets of one port by the client's address
 * alone, so that all connections of a client come to the same one.
 */
export const byClientAddress = (family: Family, sockets: number): readonly Instruction[] => [
  ...sourceWords[family].flatMap((offset, i): readonly Instruction[] =>
    i === 0
      ? [[LD_W_ABS, 0, 0, SKF_NET_OFF + offset]]
      : [
          [ST, 0, 0, 0],
          [LD_W_ABS, 0, 0, SKF_NET_OFF + offset],
          [LDX_W_MEM, 0, 0, 0],
          [ALU_XOR_X, 0, 0, 0],
        ],
  ),
  [ALU_MUL_K, 0, 0, 0x9e3779b1],
  [ALU_RSH_K, 0, 0, 16],
  [ALU_MOD_K, 0, 0, sockets],
  [RET_A, 0, 0, 0],
]

/** The instructions as the kernel reads them. */
export const encodeProgram = (program: readonly Instruction[]): Uint8Array => {
  const bytes = new Uint8Array(8 * program.length)
  const view = new DataView(bytes.buffer)
  const littleEndian = endianness() === 'LE'
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(8 * i, code, littleEndian)
    view.setUint8(8 * i + 2, jt)
    view.setUint8(8 * i + 3, jf)
    view.setUint32(8 * i + 4, k >>> 0, littleEndian)
  })
  return bytes
}
