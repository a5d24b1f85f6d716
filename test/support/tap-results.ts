import { Parser, type Result } from 'tap-parser'
import type { Skip, Tally } from './tally.ts'

const broken = 'incomplete or contradictory TAP'
const nothing = 'no tests reported'

/** Whether a failure of {@link readTap} is the stream's own, not a test's. */
export const isStreamFault = (failure: string): boolean => failure === broken || failure === nothing

const planOfNothing = /^1\.\.0 *# *(?:skip\S* *)?(\S.*)$/im

/**
 * Reads a whole TAP stream (https://testanything.org, versions 13 and 14). Tests are its top-level points; a skip or a
 * to-do at any depth is named. A stream that breaks off, contradicts itself or reports nothing has one failure.
 */
export const readTap = (output: string): Tally => {
  const parser = new Parser()
  let passed = 0
  const failed: string[] = []
  const skipped: Skip[] = []
  parser.on('assert', ({ ok, name, skip, todo }: Result) => {
    if (skip !== false || todo !== false) return
    if (ok) passed++
    else failed.push(name)
  })
  const collect = (word: string, { fullname, skip, todo }: Result): void => {
    const reason = [skip, todo].find((directive) => typeof directive === 'string' && directive !== '')
    skipped.push({ name: fullname, reason: typeof reason === 'string' ? reason : word })
  }
  parser.on('skip', (result: Result) => collect('no reason given', result))
  parser.on('todo', (result: Result) => collect('to do', result))
  parser.end(output)
  const { results } = parser
  // The parser reads a stream without any TAP in it as a plan of nothing, with a reason of its own.
  const reason = planOfNothing.exec(output)?.[1]
  if (reason !== undefined) skipped.push({ name: 'the whole file', reason })
  if (results?.bailout) failed.push(`bail out: ${results.bailout}`)
  else if (failed.length === 0 && results?.ok !== true) failed.push(broken)
  else if (failed.length + passed + skipped.length === 0) failed.push(nothing)
  return { passed, failed, skipped }
}
