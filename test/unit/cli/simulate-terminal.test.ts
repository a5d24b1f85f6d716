import { describe, expect, it, test } from 'vitest'
import { ProgressBar } from '../../../src/cli/simulate-progress.ts'
import { screenOf, styleOf } from '../../../src/cli/simulate-terminal.ts'

describe('style of standard output', () => {
  const terminal = { isTTY: true, columns: 132 }
  const utf8 = { TERM: 'xterm', LANG: 'C.UTF-8' }

  test.each([
    ['a terminal', terminal, utf8, { width: 132, colour: true, blocks: true }],
    ['a file', {}, utf8, { width: 80, colour: false, blocks: false }],
    ['NO_COLOR', terminal, { ...utf8, NO_COLOR: '1' }, { width: 132, colour: false, blocks: true }],
    ['an empty NO_COLOR', terminal, { ...utf8, NO_COLOR: '' }, { width: 132, colour: true, blocks: true }],
    ['a dumb terminal', terminal, { ...utf8, TERM: 'dumb' }, { width: 132, colour: false, blocks: false }],
    ['locale C', terminal, { ...utf8, LC_ALL: 'C' }, { width: 132, colour: true, blocks: false }],
    ['a tiny terminal', { isTTY: true, columns: 9 }, utf8, { width: 40, colour: true, blocks: true }],
    ['a terminal of unknown width', { isTTY: true, columns: 0 }, utf8, { width: 80, colour: true, blocks: true }],
  ])('of %s', (_what, stream, env, style) => {
    expect(styleOf(stream, env)).toEqual(style)
  })
})

describe('the progress bar', () => {
  const painted = (columns = 60) => {
    const writes: string[] = []
    let now = 0
    const bar = new ProgressBar({ columns, write: (text) => writes.push(text) }, () => now)
    return {
      writes,
      bar,
      at: (milliseconds: number, share: number): void => {
        now = milliseconds
        bar.show(share)
      },
    }
  }

  it('is only on terminals that can move back in a line', () => {
    const stream = { write: () => true, isTTY: true }
    expect(screenOf(stream, { TERM: 'xterm' })).toBe(stream)
    expect(screenOf(stream, { TERM: 'dumb' })).toBeUndefined()
    expect(screenOf({ ...stream, isTTY: false }, {})).toBeUndefined()
  })

  it('says nothing during the first second, and then not too often', () => {
    const { writes, bar, at } = painted()
    at(500, 0.2)
    at(999, 0.4)
    bar.clear()
    expect(writes).toEqual([])
    at(1000, 0.5)
    at(1050, 0.6)
    at(1100, 0.7)
    expect(writes).toHaveLength(2)
  })

  it('shows how much is done and how long the rest takes, and leaves nothing behind', () => {
    const { writes, bar, at } = painted()
    at(4000, 0.25)
    expect(writes[0]).toBe(`\r[${'='.repeat(10)}${' '.repeat(30)}]  25 %, 12 s left\u001b[K`)
    bar.clear()
    bar.clear()
    expect(writes.slice(1)).toEqual(['\r\u001b[K'])
  })

  it('takes a terminal that does not tell its width for one of 80 columns', () => {
    const { writes, at } = painted(0)
    at(2000, 0.5)
    expect(writes[0]).toContain(`[${'='.repeat(20)}${' '.repeat(20)}]`)
  })

  it('keeps to one line, however narrow', () => {
    for (const columns of [10, 24, 30, 80]) {
      const { writes, at } = painted(columns)
      at(2000, 0)
      at(3000, 0.5)
      at(4000, 1)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what erases the rest of the line takes no room
      for (const text of writes) expect(text.replaceAll(/\r|\u001b\[K/g, '').length).toBeLessThan(Math.max(columns, 20))
    }
  })
})
