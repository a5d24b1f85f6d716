/**
 * Bits that others on a Kubernetes node act upon wherever a packet has them: kubelet masquerades (0x4000) and drops (0x8000),
 * and the CNI plugin portmap masquerades (0x2000).
 */
const othersBits = 0xe000

/**
 * IPVS takes every packet with the mark of a virtual server, wherever it goes, so these are numbers that nobody else gives
 * to packets: not 1 and the like, which are the habit of policy routing. Calico's bits are the upper 16.
 */
const firstMark = 0x1001

/** Marks for packets that inside servers (layout-types.ts) are for, ascending; none that is taken. IPVS compares all 32 bits. */
export function* freeMarks(masqueradeMark: number, taken: ReadonlySet<number> = new Set()): Generator<number, never> {
  const avoided = othersBits | masqueradeMark
  for (let mark = firstMark; mark <= 0xffffffff; mark++) if ((mark & avoided) === 0 && !taken.has(mark)) yield mark
  throw new RangeError('every mark is taken')
}
