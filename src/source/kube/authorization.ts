import { readFile } from 'node:fs/promises'
import { type Agent, validateHeaderValue } from 'node:http'
import type { RequestOptions } from 'node:https'
import type { User } from '@kubernetes/client-node/dist/config_types.js'
import { within } from '../../model/within.ts'
import { ApiError } from './api-error.ts'
import { isRecord, textIn } from './json.ts'
import type { KubeAccess } from './kubeconfig.ts'

/** Who we are, until it is asked again. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>
  /** A client certificate that a plugin handed out. */
  readonly tls: Pick<RequestOptions, 'cert' | 'key'>
  /** Set only when the cluster is behind a `proxy-url`. */
  readonly agent: Agent | undefined
}

/** Rejects with ApiError 'noCredentials'. */
export type Authorize = (access: KubeAccess, signal: AbortSignal) => Promise<Authorization>

/** An authorizer keeps what plugins cache (an exec plugin's token until it expires). After a 401, make a new one. */
export const createAuthorizer = (): Authorize => {
  let plugin: Plugin | undefined
  return async (access, signal) => {
    const { cluster, user } = access
    try {
      const headers = { ...impersonation(user), ...(await ownHeaders(access, signal)) }
      for (const [name, value] of Object.entries(headers)) validateHeaderValue(name, value)
      if (!cluster.proxyUrl && !user.authProvider && !user.exec) return { headers, tls: {}, agent: undefined }
      plugin ??= await loadPlugin(access)
      const options: RequestOptions = { headers: {} }
      const asked = plugin(options)
      await within(pluginTimeoutMs, signal, (either) => orAborted(asked, either))
      return fromOptions(options, headers, Boolean(cluster.proxyUrl))
    } catch (cause) {
      signal.throwIfAborted()
      throw new ApiError('noCredentials', `authenticate as ${user.name}`, explain(cause))
    }
  }
}

const messageLimit = 300

/** One line. A parser's message quotes what it read, which is a token in most cases, so it goes no further. */
const explain = (cause: unknown): string => {
  if (cause instanceof SyntaxError) return 'the credential plugin printed something that is no JSON'
  // client-node reads `status` unasked; Node's own TypeErrors have a code.
  if (cause instanceof TypeError && !('code' in cause)) return 'the credential plugin printed no credential'
  const message = cause instanceof Error ? cause.message : String(cause)
  return message.trim().split('\n', 1).join('').slice(0, messageLimit)
}

const pluginTimeoutMs = 60_000

const ownHeaders = async ({ user, tokenFile }: KubeAccess, signal: AbortSignal): Promise<Record<string, string>> => {
  const token = tokenFile === undefined ? user.token : await readFile(tokenFile, { encoding: 'utf8', signal })
  if (token?.trim()) return { authorization: `Bearer ${token.trim()}` }
  if (tokenFile !== undefined) throw new Error(`${tokenFile} is empty`)
  if (!user.username) return {}
  return { authorization: `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}` }
}

const impersonation = (user: User): Record<string, string> =>
  user.impersonateUser ? { 'impersonate-user': user.impersonateUser } : {}

/** Adds credentials to request options, as client-node does. */
type Plugin = (options: RequestOptions) => Promise<void>

/** Loaded on demand: the classes are large, and few nodes need them (KubeConfig brings the whole generated API along). */
const loadPlugin = async (access: KubeAccess): Promise<Plugin> => {
  const user = withExecInfo(access)
  if (!access.cluster.proxyUrl && !user.authProvider) {
    const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js')
    const exec = new ExecAuth()
    return (options) => exec.applyAuthentication(user, options)
  }
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js')
  const config = new KubeConfig()
  // KubeConfig refuses plain http unless TLS verification is off, which says nothing there.
  const skipTLSVerify = access.cluster.skipTLSVerify || access.cluster.server.startsWith('http:')
  config.loadFromClusterAndUser({ ...access.cluster, skipTLSVerify }, user)
  return (options) => config.applyToHTTPSOptions(options)
}

/** Plugins read this variable to learn which version to speak (KEP-541); client-node does not set it. */
const withExecInfo = ({ cluster, user }: KubeAccess): User => {
  const exec: unknown = user.exec
  if (!isRecord(exec)) return user
  const target = {
    server: cluster.server,
    'tls-server-name': cluster.tlsServerName,
    'insecure-skip-tls-verify': cluster.skipTLSVerify,
    'certificate-authority-data': cluster.caData,
  }
  const info = {
    apiVersion: textIn(exec, 'apiVersion') ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: { interactive: false, ...(exec['provideClusterInfo'] === true && { cluster: target }) },
  }
  const env: unknown = exec['env']
  const own = { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }
  return { ...user, exec: { ...exec, env: [...(Array.isArray(env) ? env : []), own] } }
}

const fromOptions = (
  options: RequestOptions,
  ownHeaders: Readonly<Record<string, string>>,
  proxied: boolean,
): Authorization => {
  const headers: Record<string, string> = { ...ownHeaders }
  for (const [name, value] of Object.entries(options.headers ?? {}))
    if (typeof value === 'string' && !(name.toLowerCase() in headers)) headers[name.toLowerCase()] = value
  return {
    headers,
    tls: { ...(options.cert && { cert: options.cert }), ...(options.key && { key: options.key }) },
    agent: proxied && typeof options.agent === 'object' ? options.agent : undefined,
  }
}

/** client-node's plugins take no signal: the wait ends, the plugin is left alone. */
const orAborted = async (work: Promise<void>, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted()
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
  })
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
