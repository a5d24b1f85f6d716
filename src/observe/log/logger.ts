import { destination, type Level, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { klogLine } from './klog-format.ts'
import { redactSecrets } from './redact.ts'

export type LogFormat = 'json' | 'text'

/** Takes whole lines. */
export interface LogSink {
  write(line: string): void
}

export interface LogOptions {
  readonly format: LogFormat
  /** kube-proxy's `-v`. */
  readonly verbosity: number
  /** Standard error by default, written synchronously, so that the last words of a dying process are not lost. */
  readonly sink?: LogSink
}

/** What `-v` shows: 0 to 2 what operators want to know, 3 and 4 what happens in detail, from 5 on everything. */
export const levelOf = (verbosity: number): Level => {
  if (verbosity <= 2) return 'info'
  return verbosity <= 4 ? 'debug' : 'trace'
}

/**
 * The process's logger. A part of the program takes `logger.child({ component: 'sync' })`. Credentials are taken out
 * of every line.
 */
export const createLogger = ({ format, verbosity, sink = standardError() }: LogOptions): Logger => {
  const finish = format === 'json' ? redactSecrets : (line: string) => klogLine(redactSecrets(line))
  return pino(
    {
      level: levelOf(verbosity),
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { err: stdSerializers.err },
    },
    { write: (line) => sink.write(finish(line)) },
  )
}

const standardError = (): LogSink => {
  const stderr = destination({ dest: 2, sync: true })
  return { write: (line) => void stderr.write(line) }
}
