import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { serversOf } from '../../test/support/lvs.ts'
import { activeCost, overhead, productExceeds } from './cost.ts'

describe('productExceeds', () => {
  const int = fc.oneof(fc.nat(3), fc.nat(0x7fffffff), fc.integer({ min: 0x7ffffff0, max: 0x7fffffff }))

  it('compares as 64-bit integers do', () => {
    fc.assert(
      fc.property(int, int, int, int, (a, b, c, d) => {
        expect(productExceeds(a, b, c, d)).toBe(BigInt(a) * BigInt(b) > BigInt(c) * BigInt(d))
      }),
      { numRuns: 2000 },
    )
  })

  it('tells products apart that are one number once rounded', () => {
    // 2147483647 × 2147483645 and 2147483646 × 2147483646 differ by 1, where doubles are 512 apart.
    expect(2147483647 * 2147483645).toBe(2147483646 * 2147483646)
    expect(productExceeds(2147483646, 2147483646, 2147483647, 2147483645)).toBe(true)
    expect(productExceeds(2147483647, 2147483645, 2147483646, 2147483646)).toBe(false)
  })
})

describe('overhead', () => {
  it('counts an active connection 256 times, and in newer kernels once more as one of all', () => {
    const [server] = serversOf([1])
    if (server === undefined) throw new Error('no server')
    Object.assign(server, { active: 3, inactive: 5 })
    expect(overhead(server, activeCost('legacy'))).toBe(3 * 256 + 5)
    expect(overhead(server, activeCost('total'))).toBe(3 * 256 + 3 + 5)
    expect(activeCost()).toBe(activeCost('total'))
  })
})
