import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { TLSSocket } from 'node:tls'
import { type Fault, type FaultScope, Faults, type Verb } from './faults.ts'
import { Lists } from './lists.ts'
import { type Manifest, type ResourceName, resourceAt, type StoredObject } from './resources.ts'
import { selection } from './selectors.ts'
import { goneStatus, statusObject, tooLargeStatus } from './status.ts'
import { Store } from './store.ts'
import { Watcher } from './watcher.ts'

export interface FakeApiServerOptions {
  /** PEM. With it the server speaks https, and asks for client certificates signed by `ca`. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca: string }
  /** Requests must bear it; none = everybody is let in. */
  readonly token?: string
  /** Writes that a watch may go back to, per resource. */
  readonly historyLimit?: number
  /** Lists from the watch cache come whole whatever their limit, as servers up to 1.33 do it. On unless said otherwise. */
  readonly cacheIgnoresLimit?: boolean
  /** How a watch from before the history is refused: as an event after status 200 (as servers mostly do), or at once. */
  readonly expiredAs?: 'event' | 'status'
}

export interface SeenRequest {
  readonly verb: Verb
  readonly resource: ResourceName
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly impersonated: string | undefined
  /** Of a client certificate that checked out. */
  readonly commonName: string | undefined
}

/**
 * The part of a Kubernetes API server that a service proxy talks to, over real HTTP, and everything that can go wrong
 * with it on demand. It is as strict as the real one about parameters that contradict each other.
 */
export class FakeApiServer {
  readonly #options: FakeApiServerOptions
  readonly #store: Store
  readonly #lists: Lists
  readonly #faults = new Faults()
  readonly #watchers = new Set<Watcher>()
  readonly #seen: SeenRequest[] = []
  #server: Server
  #port = 0
  #token: string | undefined

  /** Listens on a free port of 127.0.0.1. */
  static async start(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
    const server = new FakeApiServer(options)
    await server.accept()
    return server
  }

  private constructor(options: FakeApiServerOptions) {
    this.#options = options
    this.#token = options.token
    this.#store = new Store(options.historyLimit ?? 10_000)
    this.#lists = new Lists(this.#store, options.cacheIgnoresLimit ?? true)
    this.#server = this.#create()
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`
  }

  get version(): number {
    return this.#store.version
  }

  /** Every list and watch that was asked for, also the refused ones. */
  get seen(): readonly SeenRequest[] {
    return this.#seen
  }

  requests(resource: ResourceName, verb: Verb): readonly SeenRequest[] {
    return this.#seen.filter((request) => request.resource === resource && request.verb === verb)
  }

  // Objects

  put(resource: ResourceName, manifest: Manifest): StoredObject {
    const { object, write } = this.#store.put(resource, manifest)
    for (const watcher of this.#watching(resource)) watcher.tell(write)
    return object
  }

  delete(resource: ResourceName, name: string, namespace?: string): void {
    const write = this.#store.delete(resource, name, namespace)
    if (write !== undefined) for (const watcher of this.#watching(resource)) watcher.tell(write)
  }

  objects(resource: ResourceName): readonly StoredObject[] {
    return this.#store.objects(resource)
  }

  /** Moves the version on, as writes to other resources do. */
  advance(): void {
    this.#store.advance()
  }

  // Watches

  openWatches(resource?: ResourceName): number {
    return this.#watching(resource).length
  }

  bookmark(resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) watcher.bookmark(this.#store.version)
  }

  /** Ends them properly. */
  closeWatches(resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) watcher.close()
  }

  /** Breaks their connections. */
  dropWatches(resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) watcher.drop()
  }

  /** Those open now stay open and say nothing more. */
  stallWatches(resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) watcher.stall()
  }

  /** A line that is no watch event. */
  writeGarbage(resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) watcher.write('<html>502 Bad Gateway</html>\n')
  }

  /** Half an event, and then the end of the watch: proper, or a broken connection. */
  writeHalfLine(how: 'close' | 'drop', resource?: ResourceName): void {
    for (const watcher of this.#watching(resource)) {
      watcher.write('{"type":"ADDED","object":{"metadata":{"name":"ha')
      watcher.stall()
      if (how === 'close') watcher.close()
      // Gives the bytes time to leave.
      else setTimeout(() => watcher.drop(), 5)
    }
  }

  /** Sends text in the given pieces, a moment apart. */
  async trickle(resource: ResourceName, parts: readonly Uint8Array[]): Promise<void> {
    for (const watcher of this.#watching(resource)) await watcher.trickle(parts, 10)
  }

  // Faults

  inject(fault: Fault, scope: FaultScope = {}): void {
    this.#faults.add(fault, scope)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** Forgets what a watch could resume from, and the rest of lists that are being read page by page. */
  expireHistory(resource?: ResourceName): void {
    this.#store.compact(resource)
    this.#lists.expire()
  }

  /** Forgets the history, and tells the open watches so. */
  expireWatches(resource?: ResourceName): void {
    const watching = this.#watching(resource)
    this.expireHistory(resource)
    for (const watcher of watching) watcher.fail(goneStatus('too old resource version'))
  }

  /** Reads from the watch cache fall behind, as on a server of several that lags. */
  freezeCache(): void {
    this.#lists.freezeCache()
  }

  thawCache(): void {
    this.#lists.thawCache()
  }

  setToken(token: string | undefined): void {
    this.#token = token
  }

  /** Ends all connections and refuses new ones. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  /** Listens again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server.listening) return
    this.#server = this.#create()
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  async close(): Promise<void> {
    await this.refuse()
  }

  #create(): Server {
    const { tls } = this.#options
    const handle = (request: IncomingMessage, response: ServerResponse): void => this.#handle(request, response)
    if (tls === undefined) return createHttpServer(handle)
    return createHttpsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, handle)
  }

  #watching(resource?: ResourceName): readonly Watcher[] {
    return [...this.#watchers].filter((watcher) => (resource ?? watcher.resource) === watcher.resource)
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url)
    const resource = resourceAt(url.pathname)
    if (resource === undefined || request.method !== 'GET') {
      answer(response, 404, statusObject(404, 'NotFound', 'the server could not find the requested resource'))
      return
    }
    const query = url.searchParams
    const verb = query.get('watch') === 'true' ? 'watch' : 'list'
    const { authorization, 'impersonate-user': as } = request.headers
    const impersonated = typeof as === 'string' ? as : undefined
    this.#seen.push({ verb, resource, query, authorization, impersonated, commonName: commonNameOf(request) })
    if (this.#token !== undefined && authorization !== `Bearer ${this.#token}`) {
      answer(response, 401, statusObject(401, 'Unauthorized', 'Unauthorized'))
      return
    }
    const fault = this.#faults.take(resource, verb)
    const serve = (): void =>
      verb === 'watch'
        ? this.#watch(resource, query, response)
        : this.#list(resource, query, response, fault?.kind === 'cut')
    if (fault === undefined || fault.kind === 'cut') serve()
    else this.#fail(fault, response, serve)
  }

  #fail(fault: Exclude<Fault, { kind: 'cut' }>, response: ServerResponse, serve: () => void): void {
    switch (fault.kind) {
      case 'status':
        if (fault.retryAfter !== undefined) response.setHeader('retry-after', String(fault.retryAfter))
        answer(response, fault.code, statusObject(fault.code, 'Injected', 'a fault of the test'))
        break
      case 'slow':
        setTimeout(() => {
          if (!response.destroyed) serve()
        }, fault.ms)
        break
      case 'silence':
        break
      case 'drop':
        response.destroy()
        break
      case 'html':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in first</html>')
        break
    }
  }

  #list(resource: ResourceName, query: URLSearchParams, response: ServerResponse, cut: boolean): void {
    const selects = selection(query.get('labelSelector') ?? '', query.get('fieldSelector') ?? '')
    const { code, body } = this.#lists.answer(resource, query, selects)
    if (!cut) {
      answer(response, code, body)
      return
    }
    const text = JSON.stringify(body)
    response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.write(text.slice(0, Math.floor(text.length * 0.7)))
    setTimeout(() => response.destroy(), 20)
  }

  #watch(resource: ResourceName, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? '0')
    if (query.has('resourceVersionMatch')) {
      answer(response, 400, statusObject(400, 'BadRequest', 'resourceVersionMatch is forbidden for watch'))
      return
    }
    if (from > this.#store.version) {
      answer(response, 504, tooLargeStatus(from, this.#store.version))
      return
    }
    const missed = this.#store.since(resource, from)
    if (missed === undefined && this.#options.expiredAs === 'status') {
      answer(response, 410, goneStatus('too old resource version'))
      return
    }
    const selects = selection(query.get('labelSelector') ?? '', query.get('fieldSelector') ?? '')
    const watcher = new Watcher(resource, response, selects, {
      bookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutMs: Number(query.get('timeoutSeconds') ?? '1800') * 1000,
    })
    if (missed === undefined) {
      watcher.fail(goneStatus('too old resource version'))
      return
    }
    this.#watchers.add(watcher)
    response.once('close', () => this.#watchers.delete(watcher))
    for (const write of missed) watcher.tell(write)
  }
}

const answer = (response: ServerResponse, code: number, body: object): void => {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const commonNameOf = (request: IncomingMessage): string | undefined => {
  const { socket } = request
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : undefined
}
