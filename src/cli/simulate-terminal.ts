import type { WriteStream } from 'node:tty'
import type { TextStyle } from '../simulate/index.ts'
import type { Screen } from './simulate-progress.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What a stream is asked for; those that are no terminal have neither. */
type Stream = Partial<Pick<WriteStream, 'isTTY' | 'columns'>>

const usualWidth = 80
const leastWidth = 40

/**
 * How text looks on a stream: plain unless it is a terminal; colours unless NO_COLOR says otherwise (no-color.org: set and not
 * empty); block characters where the locale is UTF-8.
 */
export const styleOf = ({ isTTY, columns }: Stream, env: Environment): TextStyle => {
  const terminal = isTTY === true && env['TERM'] !== 'dumb'
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return {
    width: Math.max(leastWidth, (isTTY === true && columns) || usualWidth),
    colour: terminal && (env['NO_COLOR'] ?? '') === '',
    blocks: terminal && /utf-?8/i.test(locale),
  }
}

/** Where a progress bar may move its line about. */
export const screenOf = (stream: Screen & Stream, env: Environment): Screen | undefined =>
  stream.isTTY === true && env['TERM'] !== 'dumb' ? stream : undefined
