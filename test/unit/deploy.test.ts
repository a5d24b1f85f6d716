import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { parseCommandLine } from '../../src/config/command-line.ts'
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts'
import {
  AffinityPatch,
  ClusterRoleBinding,
  ConfigMap,
  DaemonSet,
  InitPatch,
  Kubeconfig,
  Kustomization,
  Meta,
  SelectorPatch,
  ServiceAccount,
} from '../support/deploy-schemas.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const documents = (file: string): readonly unknown[] =>
  parseAllDocuments(read(`deploy/${file}`)).map((document) => {
    expect(document.errors, file).toEqual([])
    return document.toJS({ maxAliasCount: 0 })
  })

/** The only document of a file. */
const only = <T>(schema: z.ZodType<T>, file: string): T => z.tuple([schema]).parse(documents(file))[0]

const kustomization = only(Kustomization, 'kustomization.yaml')
const daemonSet = only(DaemonSet, 'daemonset.yaml')
const configMap = only(ConfigMap, 'configmap.yaml')
const pod = daemonSet.spec.template.spec
const [container] = pod.containers

/** The program's view of the pod: its arguments and the file they name. */
const config = (): LoadedConfig => {
  const commandLine = parseCommandLine(container.args.map((arg) => arg.replace('$(NODE_NAME)', 'node-1')))
  return loadConfig(commandLine, configMap.data['config.conf'])
}

describe('deploy', () => {
  it('lists every manifest in the kustomization, but for patches of other DaemonSets and of choice', () => {
    const listed = [...kustomization.resources, ...kustomization.patches.map(({ path }) => path)]
    const present = readdirSync(join(root, 'deploy')).filter((name) => name.endsWith('.yaml'))
    const others = ['kustomization.yaml', 'kube-proxy-patch.yaml', 'privileged-init.yaml']
    expect([...listed, ...others].sort()).toEqual(present.sort())
  })

  it('keeps every namespaced object in one namespace', () => {
    for (const file of kustomization.resources)
      for (const object of documents(file)) {
        const { kind, metadata } = z.looseObject({ kind: z.string(), metadata: Meta }).parse(object)
        expect(metadata.namespace, `${kind} in ${file}`).toBe(
          kind.startsWith('Cluster') ? undefined : kustomization.namespace,
        )
      }
  })

  it("gives the pod's service account the role of kube-proxy", () => {
    const [account, binding, ...rest] = documents('rbac.yaml')
    expect(rest).toEqual([])
    const { metadata } = ServiceAccount.parse(account)
    const { roleRef, subjects } = ClusterRoleBinding.parse(binding)
    expect(metadata.name).toBe(pod.serviceAccountName)
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: metadata.name, namespace: metadata.namespace }])
    expect(roleRef).toEqual({
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:node-proxier',
    })
  })

  it('selects its own pods', () => {
    expect(daemonSet.spec.template.metadata.labels).toEqual(daemonSet.spec.selector.matchLabels)
  })

  it('has NET_ADMIN and no other capability', () => {
    expect(container.securityContext.capabilities).toEqual({ drop: ['ALL'], add: ['NET_ADMIN'] })
  })

  it('mounts what it names, and nothing else', () => {
    expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(pod.volumes.map(({ name }) => name).sort())
    expect(pod.volumes.find(({ name }) => name === 'config')?.configMap?.name).toBe(configMap.metadata.name)
  })

  it('takes the name of the node from the pod', () => {
    expect(container.env).toEqual([{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }])
    expect(container.args).toContain('--hostname-override=$(NODE_NAME)')
    expect(config().config.hostnameOverride).toBe('node-1')
  })

  it('is accepted by weir itself', () => {
    // That conntrack settings are left alone is what the file asks for.
    expect(config().warnings.filter((warning) => !warning.startsWith('conntrack.'))).toEqual([])
    expect(config().config).toMatchObject({
      action: 'run',
      requestedMode: 'nftables',
      detectLocal: { mode: 'NodeCIDR' },
    })
  })

  it('needs no writable /proc/sys', () => {
    expect(config().config.conntrack).toEqual({
      maxPerCore: 0,
      min: 0,
      tcpEstablishedTimeoutMs: 0,
      tcpCloseWaitTimeoutMs: 0,
      tcpBeLiberal: false,
      udpTimeoutMs: 0,
      udpStreamTimeoutMs: 0,
    })
  })

  it('has a patch that sets up with privilege what the same file asks for', () => {
    const patch = only(InitPatch, 'privileged-init.yaml')
    const [init] = patch.spec.template.spec.initContainers
    expect(patch.metadata).toMatchObject({ name: daemonSet.metadata.name, namespace: daemonSet.metadata.namespace })
    expect([init.image, init.imagePullPolicy]).toEqual([container.image, container.imagePullPolicy])
    expect(init.volumeMounts).toEqual(container.volumeMounts.filter(({ name }) => name === 'config'))
    const { config: prepared } = loadConfig(parseCommandLine(init.args), configMap.data['config.conf'])
    expect(prepared).toMatchObject({ action: 'init-only', configFile: config().config.configFile })
  })

  it('names files of the mounted ConfigMap', () => {
    const folder = container.volumeMounts.find(({ name }) => name === 'config')?.mountPath
    const files = Object.keys(configMap.data).map((key) => `${folder}/${key}`)
    expect(files).toContain(config().config.configFile)
    expect(files).toContain(config().config.client.kubeconfig)
    expect(files).toHaveLength(2)
  })

  it('has a kubeconfig that uses the service account, with names that agree', () => {
    const [document] = parseAllDocuments(configMap.data['kubeconfig.conf'] ?? '')
    const kubeconfig = Kubeconfig.parse(document?.toJS())
    const [cluster] = kubeconfig.clusters
    const [user] = kubeconfig.users
    const [context] = kubeconfig.contexts
    expect(context).toMatchObject({
      name: kubeconfig['current-context'],
      context: { cluster: cluster.name, user: user.name },
    })
    const folder = '/var/run/secrets/kubernetes.io/serviceaccount'
    expect([cluster.cluster['certificate-authority'], user.user.tokenFile]).toEqual([
      `${folder}/ca.crt`,
      `${folder}/token`,
    ])
  })

  it('probes the port that it serves', () => {
    const [port] = container.ports
    const { healthz } = config().config
    expect(port).toMatchObject({ containerPort: 10256, hostPort: 10256 })
    expect(healthz).toMatchObject({ port: port?.containerPort })
    for (const probe of [container.startupProbe, container.livenessProbe])
      expect(probe.httpGet).toEqual({ path: '/livez', port: port?.name })
    expect(container.readinessProbe.httpGet).toEqual({ path: '/healthz', port: port?.name })
  })

  it('asks for one node until told otherwise, and keeps kube-proxy off it', () => {
    const selector = only(SelectorPatch, 'node-selector.yaml')
    expect(selector).toMatchObject({ kind: 'DaemonSet', metadata: { name: daemonSet.metadata.name } })
    const [[key, value] = []] = Object.entries(selector.spec.template.spec.nodeSelector)
    const { nodeAffinity } = only(AffinityPatch, 'kube-proxy-patch.yaml').spec.template.spec.affinity
    const [term] = nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms
    expect(term.matchExpressions).toEqual([{ key, operator: 'NotIn', values: [value] }])
  })
})

describe('the image', () => {
  const dockerfile = read('deploy/Dockerfile')

  it('is the one that the DaemonSet runs', () => {
    const [image] = kustomization.images
    expect(container.image).toBe(`${image.name}:${image.newTag}`)
    expect(image.newTag).toBe(z.object({ version: z.string() }).parse(JSON.parse(read('package.json'))).version)
    expect(dockerfile).toContain(`-t ${container.image} .`)
  })

  it('starts the program of package.json', () => {
    const { bin } = z.object({ bin: z.object({ weir: z.string() }) }).parse(JSON.parse(read('package.json')))
    expect(dockerfile).toContain(
      `ENTRYPOINT ["/usr/local/bin/node", "--min-semi-space-size=16", "/opt/weir/${bin.weir}"]`,
    )
    expect(dockerfile).toContain('WORKDIR /opt/weir\n')
  })

  it('copies only what exists and what .dockerignore lets through', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    )
    const included = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
    expect(copied.length).toBeGreaterThan(4)
    for (const source of copied) {
      expect(existsSync(join(root, source)), source).toBe(true)
      expect(included).toContain(`!${source}`)
    }
  })
})
