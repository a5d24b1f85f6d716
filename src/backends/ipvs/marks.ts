/**
 * Marks for packets that inside servers (layout-types.ts) are for, in ascending order from 1 on: none that is taken, and none
 * with the bit that asks for masquerading. IPVS compares all 32 bits.
 */
export function* freeMarks(masqueradeMark: number, taken: ReadonlySet<number> = new Set()): Generator<number, never> {
  for (let mark = 1; mark <= 0xffffffff; mark++) {
    // Unsigned, as the bit may be the highest.
    if ((mark & masqueradeMark) >>> 0 === 0 && !taken.has(mark)) yield mark
  }
  throw new RangeError('every mark is taken')
}
