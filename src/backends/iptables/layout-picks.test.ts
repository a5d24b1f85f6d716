import { describe, expect, it } from 'vitest'
import { addresses, targetOf } from '../../../test/support/iptables-layouts.ts'
import { pickWords, probabilityText } from './layout-picks.ts'

const targets = (...weights: readonly number[]) =>
  weights.map((weight, i) => targetOf(addresses('IPv4').pod(i + 1), { weight }))

const probabilities = (...weights: readonly number[]): readonly (string | undefined)[] =>
  pickWords('random', targets(...weights)).map((words) => words.at(-1))

/** The share of all packets that each target gets when it is tried in turn. */
const shares = (texts: readonly (string | undefined)[]): readonly number[] => {
  let left = 1
  return texts.map((text) => {
    const share = left * (text === undefined ? 1 : Number(text))
    left -= share
    return share
  })
}

describe('a random pick', () => {
  it('has kube-proxy’s probabilities where weights are equal', () => {
    const equal = ['0.2500000000', '0.3333333333', '0.5000000000', undefined]
    expect(probabilities(1, 1, 1, 1)).toEqual(equal)
    expect(probabilities(7, 7, 7, 7)).toEqual(equal)
    expect(pickWords('random', targets(1, 1))).toEqual([
      ['-m', 'statistic', '--mode', 'random', '--probability', '0.5000000000'],
      [],
    ])
  })

  it('of one target, or of none, matches nothing', () => {
    expect(pickWords('random', targets(5))).toEqual([[]])
    expect(pickWords('random', [])).toEqual([])
  })

  it.each([[[3, 1]], [[1, 3]], [[1, 2, 3, 4]], [[65_535, 1, 65_535]]])(
    'of weights %j gives each its share',
    (weights) => {
      const sum = weights.reduce((a, b) => a + b, 0)
      shares(probabilities(...weights)).forEach((share, i) => {
        expect(share).toBeCloseTo((weights[i] ?? 0) / sum, 8)
      })
    },
  )
})

describe('round robin', () => {
  it('lets every nth of what is left through, whatever the weights', () => {
    const nth = (n: string) => ['-m', 'statistic', '--mode', 'nth', '--every', n, '--packet', '0']
    expect(pickWords('rr', targets(5, 1, 1))).toEqual([nth('3'), nth('2'), []])
  })
})

describe('a probability', () => {
  // Go: fmt.Sprintf("%0.10f", 1.0/float64(n)).
  it.each([
    [3, '0.3333333333'],
    [6, '0.1666666667'],
    [1024, '0.0009765625'],
    [2048, '0.0004882812'],
    [4096, '0.0002441406'],
    [10_240, '0.0000976563'],
  ])('of one in %i is as Go writes it', (n, text) => {
    expect(probabilityText(1 / n)).toBe(text)
  })

  it('rounds a tie to the even digit, up as well as down', () => {
    expect(probabilityText(3 / 2048)).toBe('0.0014648438')
    expect(probabilityText(5 / 2048)).toBe('0.0024414062')
    expect(probabilityText(2047 / 2048)).toBe('0.9995117188')
  })
})
