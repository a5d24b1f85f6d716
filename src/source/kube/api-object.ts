import { ApiError, statusError } from './api-error.ts'
import { isRecord, recordIn, textIn } from './json.ts'

/** What every object of the API has, and the whole of it for whoever understands its kind. */
export interface ApiObject {
  /** undefined for cluster-scoped kinds. */
  readonly namespace: string | undefined
  readonly name: string
  readonly uid: string
  /** Opaque: it may be compared for equality only. */
  readonly resourceVersion: string
  readonly json: unknown
}

export type WatchEvent =
  | { readonly kind: 'present'; readonly object: ApiObject }
  | { readonly kind: 'gone'; readonly object: ApiObject }
  /** Nothing changed up to here. */
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }

/** Throws ApiError 'badResponse' when `json` has no name or no resourceVersion. */
export const parseObject = (op: string, json: unknown): ApiObject => {
  const metadata = isRecord(json) ? recordIn(json, 'metadata') : {}
  const name = textIn(metadata, 'name')
  const resourceVersion = textIn(metadata, 'resourceVersion')
  if (name === undefined || resourceVersion === undefined)
    throw new ApiError('badResponse', op, 'an object without metadata.name or metadata.resourceVersion')
  return { namespace: textIn(metadata, 'namespace'), name, uid: textIn(metadata, 'uid') ?? '', resourceVersion, json }
}

/** One line of a watch (metav1.WatchEvent). Throws ApiError: 'badResponse', or what an ERROR event stands for. */
export const parseWatchEvent = (op: string, line: string): WatchEvent => {
  const event = parseJson(op, line)
  const object = isRecord(event) ? event['object'] : undefined
  switch (isRecord(event) ? event['type'] : undefined) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'present', object: parseObject(op, object) }
    case 'DELETED':
      return { kind: 'gone', object: parseObject(op, object) }
    case 'BOOKMARK':
      return { kind: 'bookmark', resourceVersion: listVersion(op, object) }
    case 'ERROR': {
      const code = isRecord(object) ? object['code'] : undefined
      throw statusError(op, typeof code === 'number' ? code : 500, object)
    }
    default:
      throw new ApiError('badResponse', op, 'a line that is no watch event')
  }
}

/** `metadata.resourceVersion` of a list or a bookmark. */
export const listVersion = (op: string, json: unknown): string => {
  const version = isRecord(json) ? textIn(recordIn(json, 'metadata'), 'resourceVersion') : undefined
  if (version === undefined) throw new ApiError('badResponse', op, 'metadata.resourceVersion is missing')
  return version
}

/** `metadata.continue` of a list that has more pages. */
export const continueToken = (json: unknown): string | undefined =>
  isRecord(json) ? textIn(recordIn(json, 'metadata'), 'continue') : undefined

const parseJson = (op: string, text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // The engine's message quotes the text, which may hold anything.
    throw new ApiError('badResponse', op, `a line of ${text.length} characters that is no JSON`, { cause })
  }
}
