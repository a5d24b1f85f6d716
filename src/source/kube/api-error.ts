import { isRecord, recordIn, textIn } from './json.ts'

export type ApiErrorCode =
  /** 401, also after the credentials were read again. */
  | 'unauthorized'
  | 'forbidden'
  | 'notFound'
  /** 410: the resourceVersion or the continue token is older than the server's history. */
  | 'expired'
  /** The server has not yet reached the resourceVersion asked for (reason ResourceVersionTooLarge). */
  | 'versionTooLarge'
  | 'tooManyRequests'
  /** Any 5xx. */
  | 'unavailable'
  /** Any other status but 2xx. */
  | 'rejected'
  /** No answer, or no byte of it, for too long. */
  | 'timeout'
  /** Name resolution, connection or TLS failed, or the connection broke. */
  | 'network'
  /** Not what the API promises: not JSON, cut off, or without the fields every object has. */
  | 'badResponse'
  | 'unreadableKubeconfig'
  /** No kubeconfig, no master, and not in a pod. */
  | 'notInCluster'
  /** A token file or a credential plugin did not deliver. */
  | 'noCredentials'

interface ApiErrorDetails {
  readonly status?: number | undefined
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/** Everything that can go wrong between us and the API server. Never holds a token. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ApiErrorCode
  /** What was attempted: `LIST /api/v1/services`. */
  readonly op: string
  /** The HTTP status, or the `code` of a Status in a watch. */
  readonly status: number | undefined
  /** How long the server asked us to stay away, milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(code: ApiErrorCode, op: string, detail: string, { status, retryAfterMs, cause }: ApiErrorDetails = {}) {
    super(`${op}: ${detail}`, { cause })
    this.code = code
    this.op = op
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** A connection-level failure; an ApiError passes through. */
export const networkError = (op: string, cause: unknown): ApiError => {
  if (cause instanceof ApiError) return cause
  // A refused dual-stack connection is an AggregateError with an empty message; its parts have the text.
  const parts: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause]
  const detail = parts.map((part) => (part instanceof Error ? part.message : String(part))).join('; ')
  return new ApiError('network', op, detail, { cause })
}

const messageLimit = 300

/** The error that an HTTP status, or the Status object of a watch's ERROR event, stands for. `body` is a Status, or not. */
export const statusError = (op: string, status: number, body: unknown, retryAfter?: string): ApiError => {
  const record = isRecord(body) ? body : {}
  const details = recordIn(record, 'details')
  const message = textIn(record, 'message')?.slice(0, messageLimit) ?? 'no explanation'
  const seconds = retryAfter === undefined ? details['retryAfterSeconds'] : Number(retryAfter)
  return new ApiError(statusCode(status, details['causes']), op, `${status}: ${message}`, {
    status,
    retryAfterMs: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined,
  })
}

const statusCode = (status: number, causes: unknown): ApiErrorCode => {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'notFound'
    case 410:
      return 'expired'
    case 429:
      return 'tooManyRequests'
    default:
      if (isTooLarge(causes)) return 'versionTooLarge'
      return status >= 500 ? 'unavailable' : 'rejected'
  }
}

const isTooLarge = (causes: unknown): boolean =>
  Array.isArray(causes) && causes.some((cause) => isRecord(cause) && cause['reason'] === 'ResourceVersionTooLarge')
