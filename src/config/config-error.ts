/** One thing that is wrong. `field` is the path in the file (`iptables.masqueradeBit`) or the flag (`--proxy-mode`). */
export interface Issue {
  readonly field: string
  /** In Kubernetes' words: `Invalid value: 40: must be within the range [0, 31]`. */
  readonly reason: string
}

/** `usage`: the command line; `decode`: the file is no KubeProxyConfiguration; `invalid`: a value is not allowed. */
export type ConfigErrorCode = 'usage' | 'decode' | 'invalid'

const operations = {
  usage: 'parse command line',
  decode: 'decode configuration',
  invalid: 'validate configuration',
} as const satisfies Record<ConfigErrorCode, string>

/**
 * Everything that is wrong with the command line or the configuration. The message has one line per problem; the
 * reasons of code `usage` name the flag themselves, in pflag's words.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode
  readonly op: string
  readonly issues: readonly Issue[]

  constructor(code: ConfigErrorCode, issues: readonly Issue[], cause?: unknown) {
    super(
      issues.map(code === 'usage' ? ({ reason }) => reason : issueLine).join('\n'),
      cause === undefined ? undefined : { cause },
    )
    this.code = code
    this.op = operations[code]
    this.issues = issues
  }
}

const issueLine = ({ field, reason }: Issue): string => `${field}: ${reason}`
