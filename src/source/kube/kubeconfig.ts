import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { dirname, resolve } from 'node:path'
import {
  type Cluster,
  type Context,
  newClusters,
  newContexts,
  newUsers,
  type User,
} from '@kubernetes/client-node/dist/config_types.js'
import { LineCounter, parseDocument } from 'yaml'
import { ApiError } from './api-error.ts'
import { isRecord, type JsonRecord, recordIn, textIn } from './json.ts'

/** How the API server is found (kube-proxy's `--kubeconfig` and `--master`). */
export interface KubeLocation {
  readonly kubeconfig: string | undefined
  /** Overrides the kubeconfig's server. Alone, it means no credentials at all, as with kube-proxy. */
  readonly master: string | undefined
  /** Where /var/run/secrets/kubernetes.io/serviceaccount lies, for tests; '' otherwise. */
  readonly root?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Server and user by client-node's names; every path is absolute. */
export interface KubeAccess {
  readonly cluster: Cluster
  readonly user: User
  /** To be read again and again: such tokens live an hour. Goes before `user.token`. */
  readonly tokenFile: string | undefined
}

/**
 * Only `config_types.js` of client-node is loaded here: its index, and `config.js` too, pull in every generated API
 * class, which costs 65 MiB of memory and 300 ms at start. The KubeConfig class would not do anyway: it knows no
 * `tokenFile` of a user, which is what kubeadm writes for kube-proxy.
 *
 * Rejects with ApiError 'unreadableKubeconfig' or 'notInCluster'.
 */
export const readAccess = async (location: KubeLocation, signal: AbortSignal): Promise<KubeAccess> => {
  const { kubeconfig, master } = location
  if (kubeconfig !== undefined) return readKubeconfig(kubeconfig, master, signal)
  if (master === undefined) return inCluster(location)
  return { cluster: { name: 'master', server: master, skipTLSVerify: false }, user: anonymous, tokenFile: undefined }
}

const anonymous: User = { name: 'anonymous' }

const readKubeconfig = async (file: string, master: string | undefined, signal: AbortSignal): Promise<KubeAccess> => {
  const op = `load kubeconfig ${file}`
  try {
    const document: unknown = parseYaml(await readFile(file, { encoding: 'utf8', signal }))
    if (!isRecord(document)) throw new Error('it is no YAML mapping')
    const context = currentContext(document)
    const cluster = newClusters(document['clusters']).find(({ name }) => name === context.cluster)
    if (cluster === undefined && master === undefined) throw new Error(`it has no cluster "${context.cluster}"`)
    const user = context.user === undefined ? anonymous : findUser(document, context.user)
    const absolute = (path: string | null | undefined): string | undefined =>
      typeof path === 'string' && path !== '' ? resolve(dirname(file), path) : undefined
    return {
      cluster: withCaFile(cluster, master, absolute(cluster?.caFile)),
      user: withFiles(user, absolute(user.certFile), absolute(user.keyFile)),
      tokenFile: absolute(tokenFileOf(document, context.user)),
    }
  } catch (cause) {
    signal.throwIfAborted()
    throw new ApiError('unreadableKubeconfig', op, cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** The library's own messages quote the line, which may hold a token. */
const parseYaml = (text: string): unknown => {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { prettyErrors: false, lineCounter })
  const [error] = document.errors
  if (error !== undefined) throw new Error(`line ${lineCounter.linePos(error.pos[0]).line}: ${error.message}`)
  return document.toJS()
}

const currentContext = (document: JsonRecord): Context => {
  const name = textIn(document, 'current-context')
  if (name === undefined) throw new Error('it has no current-context')
  const context = newContexts(document['contexts']).find((each) => each.name === name)
  if (context === undefined) throw new Error(`it has no context "${name}", which is its current-context`)
  return context
}

const findUser = (document: JsonRecord, name: string): User => {
  const user = newUsers(document['users']).find((each) => each.name === name)
  if (user === undefined) throw new Error(`it has no user "${name}"`)
  return user
}

const tokenFileOf = (document: JsonRecord, user: string | undefined): string | undefined => {
  const users: unknown = document['users']
  const entry = Array.isArray(users) ? users.find((each) => isRecord(each) && each['name'] === user) : undefined
  return isRecord(entry) ? textIn(recordIn(entry, 'user'), 'tokenFile') : undefined
}

const withCaFile = (cluster: Cluster | undefined, master: string | undefined, caFile: string | undefined): Cluster => {
  const base = cluster ?? { name: 'master', server: '', skipTLSVerify: false }
  const { caFile: _, ...rest } = { ...base, server: master ?? base.server }
  return caFile === undefined ? rest : { ...rest, caFile }
}

const withFiles = (user: User, certFile: string | undefined, keyFile: string | undefined): User => {
  const { certFile: _, keyFile: __, ...rest } = user
  return { ...rest, ...(certFile === undefined ? {} : { certFile }), ...(keyFile === undefined ? {} : { keyFile }) }
}

/** What every pod is given: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod */
const inCluster = ({ root = '', env = process.env }: KubeLocation): KubeAccess => {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT']
  if (!host || !port)
    throw new ApiError(
      'notInCluster',
      'find the API server',
      'neither a kubeconfig nor a master is set, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are missing',
    )
  const secrets = `${root}/var/run/secrets/kubernetes.io/serviceaccount`
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
  return {
    cluster: { name: 'inCluster', server, skipTLSVerify: false, caFile: `${secrets}/ca.crt` },
    user: anonymous,
    tokenFile: `${secrets}/token`,
  }
}
