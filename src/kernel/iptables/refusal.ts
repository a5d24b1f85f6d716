import type { IptablesErrorDetail } from './iptables-error.ts'
import { oneLine } from './program-failure.ts'
import { type Statement, statementLine, type TableChange } from './restore-builder.ts'
import { ruleTarget } from './rule-text.ts'

export interface Refusal extends IptablesErrorDetail {
  /** What the program said, and the input around the line that it named. */
  readonly reason: string
}

/** Lines shown before and after the refused one, as kube-proxy does, … */
const around = 3
/** … each cut off at this many characters. */
const longest = 200

/**
 * Finds out what a failed `iptables-restore` was about. Both variants name the line of what they cannot parse; what the
 * kernel refuses, the nft variant names too, or the chain that it misses, the legacy variant only its COMMIT.
 */
export const explainRefusal = (changes: readonly TableChange[], said: string): Refusal => {
  const reason = oneLine(said)
  const named = namedLine(said)
  const line =
    named === undefined ? undefined : (statementOf(changes, named) ?? jumpTo(changes, named, missingChain(said)))
  if (line === undefined) return { reason: `${reason}${atCommit(changes, named)}`, line: named }
  return { reason: `${reason}\n${excerpt(changes, line.number)}`, line: line.number, tag: line.tag }
}

/** In the order of reliability, because a program may quote our own words before it says the number. */
const patterns = [
  /^Error occurred at line: (\d+)$/m,
  /^line (\d+): [A-Z_]+ failed/m,
  /^ip6?tables\S*: line (\d+) failed/m,
  / line (\d+): Bad built-in chain name$/m,
]

const namedLine = (said: string): number | undefined => {
  for (const pattern of patterns) {
    const number = pattern.exec(said)?.[1]
    if (number !== undefined) return Number(number)
  }
  return undefined
}

const missingChain = (said: string): string | undefined => /Chain '(\S+)' does not exist/.exec(said)?.[1]

interface InputLine {
  /** 1-based. */
  readonly number: number
  readonly tag: unknown
}

/** Where a change begins: the line of its table. It takes two lines more than it has statements. */
function* placed(changes: readonly TableChange[]): Generator<{ readonly change: TableChange; readonly start: number }> {
  let start = 1
  for (const change of changes) {
    yield { change, start }
    start += change.statements.length + 2
  }
}

const statementAt = (changes: readonly TableChange[], line: number): Statement | undefined => {
  for (const { change, start } of placed(changes))
    if (line < start + change.statements.length + 2) return change.statements[line - start - 1]
  return undefined
}

const statementOf = (changes: readonly TableChange[], line: number): InputLine | undefined => {
  const statement = statementAt(changes, line)
  return statement === undefined ? undefined : { number: line, tag: statement.tag }
}

/** The first rule that names a chain as its target in the table whose COMMIT is at `commit`; its tag only when all of them share it. */
const jumpTo = (changes: readonly TableChange[], commit: number, chain: string | undefined): InputLine | undefined => {
  if (chain === undefined) return undefined
  for (const { change, start } of placed(changes)) {
    if (commit !== start + change.statements.length + 1) continue
    const jumps = change.statements.flatMap((statement, i) =>
      'rule' in statement && ruleTarget(statement.rule)?.name === chain
        ? [{ number: start + 1 + i, tag: statement.tag }]
        : [],
    )
    const [first] = jumps
    if (first === undefined) return undefined
    return { number: first.number, tag: jumps.every(({ tag }) => tag === first.tag) ? first.tag : undefined }
  }
  return undefined
}

const atCommit = (changes: readonly TableChange[], line: number | undefined): string => {
  for (const { change, start } of placed(changes))
    if (line === start + change.statements.length + 1) return `, the commit of table ${change.table}`
  return ''
}

const textAt = (changes: readonly TableChange[], line: number): string | undefined => {
  for (const { change, start } of placed(changes)) {
    const { table, statements } = change
    if (line === start) return `*${table}`
    if (line === start + statements.length + 1) return 'COMMIT'
    const statement = line > start ? statements[line - start - 1] : undefined
    if (statement !== undefined) return statementLine(statement)
  }
  return undefined
}

const excerpt = (changes: readonly TableChange[], line: number): string => {
  const lines: string[] = []
  for (let number = Math.max(1, line - around); number <= line + around; number++) {
    const text = textAt(changes, number)
    if (text === undefined) break
    const shown = text.length > longest ? `${text.slice(0, longest)}…` : text
    lines.push(`${number === line ? '> ' : '  '}${number}: ${shown}`)
  }
  return lines.join('\n')
}
