import type { ServerResponse } from 'node:http'
import type { ResourceName, StoredObject } from './resources.ts'
import { resourceKinds } from './resources.ts'
import type { Write } from './store.ts'

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

/** One open watch. */
export class Watcher {
  readonly resource: ResourceName
  readonly #response: ServerResponse
  readonly #selects: (object: StoredObject) => boolean
  readonly #bookmarks: boolean
  #stalled = false
  readonly #timer: NodeJS.Timeout

  constructor(
    resource: ResourceName,
    response: ServerResponse,
    selects: (object: StoredObject) => boolean,
    { bookmarks, timeoutMs }: { readonly bookmarks: boolean; readonly timeoutMs: number },
  ) {
    this.resource = resource
    this.#response = response
    this.#selects = selects
    this.#bookmarks = bookmarks
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    this.#timer = setTimeout(() => {
      if (!this.#stalled) this.close()
    }, timeoutMs)
    response.once('close', () => clearTimeout(this.#timer))
  }

  /** What the write means to somebody who sees only a selection. */
  tell({ before, after, last }: Write): void {
    const saw = before !== undefined && this.#selects(before)
    const sees = after !== undefined && this.#selects(after)
    if (sees) this.#send(saw ? 'MODIFIED' : 'ADDED', last)
    else if (saw) this.#send('DELETED', { ...before, metadata: last.metadata })
  }

  bookmark(version: number): void {
    if (!this.#bookmarks) return
    const { apiVersion, kind } = resourceKinds[this.resource]
    this.#send('BOOKMARK', {
      kind,
      apiVersion,
      metadata: { resourceVersion: String(version), creationTimestamp: null },
    })
  }

  /** Reports an error and ends the watch. */
  fail(status: object): void {
    this.#send('ERROR', status)
    this.close()
  }

  /** From now on not a byte more, and no end either. */
  stall(): void {
    this.#stalled = true
  }

  /** Writes what may be no event at all. */
  write(text: string): void {
    if (!this.#stalled && !this.#response.writableEnded && !this.#response.destroyed) this.#response.write(text)
  }

  /** Writes bytes with a pause between, so that they reach the client in separate chunks. */
  async trickle(parts: readonly Uint8Array[], pauseMs: number): Promise<void> {
    for (const part of parts) {
      this.#response.write(part)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }

  close(): void {
    this.#response.end()
  }

  drop(): void {
    this.#response.destroy()
  }

  #send(type: EventType, object: object): void {
    this.write(`${JSON.stringify({ type, object })}\n`)
  }
}
