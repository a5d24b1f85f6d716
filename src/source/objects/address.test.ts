import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseIP } from '../../model/ip.ts'
import { parseAddress } from './address.ts'

const word = fc.oneof(
  fc.constantFrom('', '0', '00', 'ffff', 'FFFF', '12345', 'g', '1', '10.0.0.1'),
  fc.stringMatching(/^[0-9a-f]{1,4}$/),
)
const octet = fc.oneof(fc.constantFrom('', '0', '00', '010', '256', '-1', 'a'), fc.nat(300).map(String))

describe('parseAddress', () => {
  it('agrees with parseIP on everything that looks like an address', () => {
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.array(octet, { minLength: 3, maxLength: 5 }).map((parts) => parts.join('.')),
      fc.array(word, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(':')),
      fc
        .tuple(fc.array(word, { maxLength: 7 }), fc.array(word, { maxLength: 7 }))
        .map(([a, b]) => `${a.join(':')}::${b.join(':')}`),
      fc.string(),
    )
    fc.assert(
      fc.property(text, (sample) => {
        expect(parseAddress(sample)).toBe(parseIP(sample))
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    '::',
    '::1',
    '1::',
    '::ffff:1.2.3.4',
    '::ffff:102:304',
    '::1.2.3.4',
    '1:2:3:4:5:6:7:8',
    '1::8:',
    ':1::',
    '1:::2',
    '::1::',
    '64:ff9b::1.2.3.4',
    '1:2:3:4:5:6:7::',
    'fe80::1%eth0',
    '1.2.3.4.',
    '.1.2.3',
    '1..2.3',
    '',
  ])('agrees with parseIP on %j', (text) => {
    expect(parseAddress(text)).toBe(parseIP(text))
  })
})
