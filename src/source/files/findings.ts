import type { Problem } from '../../model/problem.ts'

interface Finding {
  readonly problem: Problem
  /** When to report it; undefined = that has been done. */
  due: number | undefined
}

/** What is wrong with a file just now, each problem under a key that is the same for the same problem. */
export type Findings = ReadonlyMap<string, Finding>

export const noFindings: Findings = new Map()

const keyOf = ({ object, field, reason }: Problem): string =>
  [object.kind, object.namespace ?? '', object.name, field, reason].join('\n')

/** Exactly these problems: those that were there before stay as they were, the others are to be reported at `due`. */
export const withProblems = (before: Findings, problems: readonly Problem[], due: number): Findings => {
  if (problems.length === 0) return noFindings
  const findings = new Map<string, Finding>()
  for (const problem of problems) {
    const key = keyOf(problem)
    if (!findings.has(key)) findings.set(key, before.get(key) ?? { problem, due })
  }
  return findings
}
