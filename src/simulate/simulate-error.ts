/** One thing that is wrong with a scenario. */
export interface ScenarioIssue {
  /** 1-based; undefined where the text has no place for it, as for what the command line says. */
  readonly line: number | undefined
  /** The path in the file, `servers[0].weight`; '' is the file as a whole. */
  readonly field: string
  readonly reason: string
}

/**
 * `scenario`: it cannot be read as a scenario; `order`: an event's time has passed when the event before it in the list
 * happens, which only shows while arrivals are counted; `scheduler`: the library refuses the servers.
 */
export type SimulateErrorCode = 'scenario' | 'order' | 'scheduler'

const operations = {
  scenario: 'read scenario',
  order: 'order events',
  scheduler: 'set up scheduler',
} as const satisfies Record<SimulateErrorCode, string>

/** The message has a line for each issue, `FILE:LINE: FIELD: REASON`. */
export class SimulateError extends Error {
  override readonly name = 'SimulateError'
  readonly code: SimulateErrorCode
  readonly op: string
  readonly issues: readonly ScenarioIssue[]

  constructor(code: SimulateErrorCode, file: string, issues: readonly ScenarioIssue[], cause?: unknown) {
    super(issues.map((issue) => issueLine(file, issue)).join('\n'), cause === undefined ? undefined : { cause })
    this.code = code
    this.op = operations[code]
    this.issues = issues
  }
}

const issueLine = (file: string, { line, field, reason }: ScenarioIssue): string =>
  [line === undefined ? file : `${file}:${line}`, field, reason].filter((part) => part !== '').join(': ')
