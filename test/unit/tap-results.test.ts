import { describe, expect, it } from 'vitest'
import { readTap } from '../support/tap-results.ts'

describe('readTap', () => {
  it('counts top-level tests, not the assertions within', () => {
    const tap = 'TAP version 14\n# Subtest: a\n    ok 1 - x\n    ok 2 - y\n    1..2\nok 1 - a\n\nok 2 - b\n1..2\n'
    expect(readTap(tap)).toEqual({ passed: 2, failed: [], skipped: [] })
  })

  it('names what failed', () => {
    const tap = 'TAP version 14\n# Subtest: a\n    not ok 1 - x\n    1..1\nnot ok 1 - a\nok 2 - b\n1..2\n'
    expect(readTap(tap)).toEqual({ passed: 1, failed: ['a'], skipped: [] })
  })

  it('names what was skipped, at any depth, with its reason', () => {
    const tap =
      'TAP version 14\n# Subtest: a\n    ok 1 - x # SKIP no sctp\n    1..1\nok 1 - a\n\nok 2 - b # SKIP\nok 3 - c # TODO later\n1..3\n'
    expect(readTap(tap)).toEqual({
      passed: 1,
      failed: [],
      skipped: [
        { name: 'a > x', reason: 'no sctp' },
        { name: 'b', reason: 'no reason given' },
        { name: 'c', reason: 'later' },
      ],
    })
  })

  it('takes a file that is skipped as a whole for one skipped test', () => {
    expect(readTap('TAP version 14\n1..0 # no kernel support\n')).toEqual({
      passed: 0,
      failed: [],
      skipped: [{ name: 'the whole file', reason: 'no kernel support' }],
    })
  })

  it.each([
    ['nothing at all', ''],
    ['output that is no TAP', 'hello\n'],
    ['no plan', 'TAP version 14\nok 1 - a\n'],
    ['fewer tests than planned', 'TAP version 14\n1..3\nok 1 - a\n'],
    ['a plan of nothing', 'TAP version 14\n1..0\n'],
    ['a bail out', 'TAP version 14\n1..2\nok 1 - a\nBail out! kernel gone\n'],
  ])('counts as failed: %s', (_, tap) => {
    expect(readTap(tap).failed).toHaveLength(1)
  })
})
