import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ip } from '../../test/support/lvs.ts'
import { readIP } from '../model/ip.ts'
import { foldAddress, hash32 } from './hash.ts'

const { hashVectors } = z
  .object({
    hashVectors: z.array(z.object({ addr: z.string(), fold: z.number(), hash32_8: z.number(), hash32_10: z.number() })),
  })
  .parse(JSON.parse(readFileSync(new URL('../../test/golden/lvs/schedulers.json', import.meta.url), 'utf8')))

describe('foldAddress and hash32', () => {
  it.each(hashVectors)('$addr as the kernel has it', ({ addr, fold, hash32_8, hash32_10 }) => {
    expect(foldAddress(ip(addr))).toBe(fold)
    expect(hash32(fold, 8)).toBe(hash32_8)
    expect(hash32(fold, 10)).toBe(hash32_10)
  })

  const word = fc.oneof(fc.constant(0), fc.nat(0xff), fc.nat({ max: 0xffffffff }))

  it('folds the words of any IPv6 address, however its text is shortened', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 4, maxLength: 4 }), (words) => {
        const bytes = new DataView(new ArrayBuffer(16))
        for (const [i, value] of words.entries()) bytes.setUint32(4 * i, value)
        const folded = words.reduce((known, value) => (known ^ value) >>> 0, 0)
        expect(foldAddress(readIP('IPv6', new Uint8Array(bytes.buffer), 0))).toBe(folded)
      }),
    )
  })

  it('folds any IPv4 address to its number', () => {
    fc.assert(
      fc.property(word, (value) => {
        const bytes = new DataView(new ArrayBuffer(4))
        bytes.setUint32(0, value)
        expect(foldAddress(readIP('IPv4', new Uint8Array(bytes.buffer), 0))).toBe(value)
      }),
    )
  })
})
