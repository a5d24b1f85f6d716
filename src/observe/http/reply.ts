import type { RequestListener, ServerResponse } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Answers one path, whatever the method. `query` holds the decoded query string. */
export type Route = (query: URLSearchParams) => Reply | Promise<Reply>

/** Tells a browser to believe the content type. Every reply carries it, as in Kubernetes' own servers. */
const nosniff = { 'X-Content-Type-Options': 'nosniff' } as const

export const jsonReply = (status: number, body: string, more: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { 'Content-Type': 'application/json', ...nosniff, ...more },
  body,
})

export const textReply = (status: number, body: string): Reply => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8', ...nosniff },
  body,
})

export const sendReply = (response: ServerResponse, { status, headers, body }: Reply): void => {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

const notFound = textReply(404, '404 page not found\n')

/** The route for each path; other paths get what Go's ServeMux answers. A route that throws is a 500. */
export const router =
  (routes: ReadonlyMap<string, Route>, onError: (cause: unknown) => void): RequestListener =>
  (request, response) => {
    const { path, query } = splitTarget(request.url ?? '/')
    const answer = async (): Promise<void> => {
      try {
        sendReply(response, (await routes.get(path)?.(query)) ?? notFound)
      } catch (cause) {
        onError(cause)
        sendReply(response, textReply(500, 'internal server error\n'))
      }
    }
    void answer()
  }

/** The request target is origin-form, or absolute-form when somebody takes us for a proxy (RFC 9112 §3.2). */
const splitTarget = (target: string): { readonly path: string; readonly query: URLSearchParams } => {
  const origin = target.replace(/^https?:\/\/[^/?]*/i, '')
  const mark = origin.indexOf('?')
  if (mark < 0) return { path: origin, query: new URLSearchParams() }
  return { path: origin.slice(0, mark), query: new URLSearchParams(origin.slice(mark + 1)) }
}
