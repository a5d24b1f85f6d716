import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent, type RequestOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import { ApiError } from './api-error.ts'
import { type Authorize, createAuthorizer } from './authorization.ts'
import type { Clock } from './clock.ts'
import { type KubeAccess, type KubeLocation, readAccess } from './kubeconfig.ts'

/** All that a request needs besides its path. */
export interface Connection {
  readonly server: URL
  readonly agent: HttpAgent
  readonly headers: Readonly<Record<string, string>>
}

export interface Credentials {
  /** The current connection. Everything behind it (kubeconfig aside) is read again when it is older than a minute. */
  connection(signal: AbortSignal): Promise<Connection>
  /** After a 401: everything is read again, the kubeconfig too, unless that has happened since `rejected` was made. */
  renew(rejected: Connection, signal: AbortSignal): Promise<Connection>
  close(): void
}

export interface CredentialsOptions {
  readonly location: KubeLocation
  readonly clock: Clock
  /** Reading again failed; the previous credentials stay in use. */
  readonly onKept: (error: ApiError) => void
}

/** A token in a pod lives an hour and is replaced early; client-go too reads it once a minute. */
const maxAgeMs = 60_000

/** Both functions reject with ApiError: 'unreadableKubeconfig', 'notInCluster' or 'noCredentials'. */
export const createCredentials = ({ location, clock, onKept }: CredentialsOptions): Credentials => {
  const agents = new AgentPool()
  let access: KubeAccess | undefined
  let authorize = createAuthorizer()
  let current: Connection | undefined
  let readAt = 0
  let reading: Promise<Connection> | undefined

  const read = async (anew: boolean, signal: AbortSignal): Promise<Connection> => {
    if (access === undefined || anew) {
      access = await readAccess(location, signal)
      authorize = createAuthorizer()
    }
    current = await connect(access, authorize, agents, signal)
    return current
  }
  // Several resources ask at once; one reading serves them all.
  const readOnce = (anew: boolean, signal: AbortSignal): Promise<Connection> => {
    readAt = clock.now()
    reading ??= read(anew, signal).finally(() => {
      reading = undefined
    })
    return reading
  }

  return {
    connection: async (signal) => {
      if (current !== undefined && clock.now() - readAt < maxAgeMs) return current
      const previous = current
      try {
        return await readOnce(false, signal)
      } catch (error) {
        if (previous === undefined || !(error instanceof ApiError)) throw error
        onKept(error)
        return previous
      }
    },
    renew: async (rejected, signal) =>
      current !== undefined && current !== rejected ? current : readOnce(true, signal),
    close: () => {
      agents.close()
    },
  }
}

const connect = async (
  access: KubeAccess,
  authorize: Authorize,
  agents: AgentPool,
  signal: AbortSignal,
): Promise<Connection> => {
  const op = `connect to ${access.cluster.server}`
  const server = serverUrl(access)
  const authorized = await authorize(access, signal)
  const tls = await tlsOptions(access, op, signal)
  const agent = authorized.agent ?? agents.get(server, { ...tls, ...authorized.tls })
  return { server, agent, headers: authorized.headers }
}

/** Throws ApiError 'unreadableKubeconfig'. A bare `host:port` means https when there is anything to verify (client-go too). */
const serverUrl = ({ cluster, user }: KubeAccess): URL => {
  const text = cluster.server
  const hasTls = cluster.caData || cluster.caFile || cluster.skipTLSVerify || user.certData || user.certFile
  const full = text.includes('://') ? text : `${hasTls ? 'https' : 'http'}://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw new ApiError('unreadableKubeconfig', 'load kubeconfig', `"${text}" is no URL of an API server`)
  return url
}

type Tls = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>

const tlsOptions = async ({ cluster, user }: KubeAccess, op: string, signal: AbortSignal): Promise<Tls> => {
  try {
    const ca = await pem(cluster.caData, cluster.caFile, signal)
    const cert = await pem(user.certData, user.certFile, signal)
    const key = await pem(user.keyData, user.keyFile, signal)
    const material = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
    // Otherwise they would only show as failing requests, again and again; and what is no CA is passed over in silence.
    createSecureContext(material)
    if (ca !== undefined) new X509Certificate(ca)
    return {
      ...material,
      ...(cluster.tlsServerName && { servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify && { rejectUnauthorized: false }),
    }
  } catch (cause) {
    signal.throwIfAborted()
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ApiError('unreadableKubeconfig', op, `its certificates: ${detail}`, { cause })
  }
}

/** Inline data goes before a file (client-go, and the comment of both fields in the kubeconfig's type). */
const pem = async (
  data: string | null | undefined,
  file: string | undefined,
  signal: AbortSignal,
): Promise<Buffer | undefined> => {
  if (data) return Buffer.from(data, 'base64')
  return file === undefined ? undefined : readFile(file, { signal })
}

/** One keep-alive agent, replaced when the certificates change. Requests under way finish on the old one. */
class AgentPool {
  #agent: HttpAgent | undefined
  #identity = ''

  get(server: URL, tls: Tls): HttpAgent {
    const identity = JSON.stringify([server.origin, tls])
    if (this.#agent !== undefined && identity === this.#identity) return this.#agent
    for (const sockets of Object.values(this.#agent?.freeSockets ?? {}))
      for (const socket of sockets ?? []) socket.destroy()
    this.#agent =
      server.protocol === 'http:' ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ...tls })
    this.#identity = identity
    return this.#agent
  }

  close(): void {
    this.#agent?.destroy()
  }
}
