import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { z } from 'zod'

/** Only what the demo reads; everything else passes through. */
const Meta = z.looseObject({ name: z.string(), namespace: z.string().default('default') })
const Node = z.looseObject({
  kind: z.literal('Node'),
  metadata: Meta,
  status: z.looseObject({ addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })) }),
})
const Service = z.looseObject({
  kind: z.literal('Service'),
  metadata: Meta,
  spec: z.looseObject({
    clusterIP: z.string(),
    ports: z.array(
      z.looseObject({
        name: z.string().default(''),
        protocol: z.string().default('TCP'),
        port: z.number(),
        nodePort: z.number().optional(),
      }),
    ),
  }),
  status: z
    .looseObject({
      loadBalancer: z.looseObject({ ingress: z.array(z.looseObject({ ip: z.string().optional() })).default([]) }),
    })
    .optional(),
})
const EndpointSlice = z.looseObject({
  kind: z.literal('EndpointSlice'),
  metadata: Meta.extend({ labels: z.record(z.string(), z.string()) }),
  addressType: z.string(),
  ports: z.array(z.looseObject({ name: z.string().default(''), port: z.number() })),
  endpoints: z.array(
    z.looseObject({ addresses: z.tuple([z.string()]), targetRef: z.looseObject({ name: z.string() }).optional() }),
  ),
})
type EndpointSlice = z.infer<typeof EndpointSlice>

export interface Pod {
  readonly name: string
  readonly ip: string
}

/** The Service that the demo shows: reachable in all three ways. */
export interface Showcase {
  /** The folder with the copy. */
  readonly folder: string
  readonly nodeName: string
  readonly nodeIP: string
  readonly nodeIPv6: string | undefined
  readonly service: string
  readonly clusterIP: string
  readonly port: number
  readonly nodePort: number
  readonly loadBalancerIP: string
  readonly podPort: number
  readonly pods: readonly Pod[]
  /** Writes the slice with these pods instead, at once for every reader (rename). */
  readonly setPods: (pods: readonly Pod[]) => void
}

/** Copies the manifests in `from` to `to` and picks a Service among them; throws when none fits. */
export const openManifests = (from: string, to: string): Showcase => {
  cpSync(from, to, { recursive: true })
  const files = readdirSync(to, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(to, name))
  const objects = files.flatMap((file) => readObjects(file).map((object) => ({ file, object })))
  const node = objects.map(({ object }) => Node.safeParse(object).data).find((found) => found !== undefined)
  const internal = node?.status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address)
  const nodeIP = internal?.find((address) => !address.includes(':'))
  if (node === undefined || nodeIP === undefined) throw new Error(`no Node with an IPv4 InternalIP in ${from}`)
  for (const { object } of objects) {
    const service = Service.safeParse(object).data
    if (service === undefined) continue
    const port = service.spec.ports.find(({ protocol, nodePort }) => protocol === 'TCP' && nodePort !== undefined)
    const loadBalancerIP = service.status?.loadBalancer.ingress.find(({ ip }) => ip?.includes('.'))?.ip
    const found = objects.find((candidate) => isSliceOf(candidate.object, service.metadata.name))
    const slice = EndpointSlice.safeParse(found?.object).data
    const podPort = slice?.ports.find(({ name }) => name === port?.name)?.port
    if (!port?.nodePort || !loadBalancerIP || !found || !slice || !podPort || slice.endpoints.length < 2) continue
    return {
      folder: to,
      nodeName: node.metadata.name,
      nodeIP,
      nodeIPv6: internal?.find((address) => address.includes(':')),
      service: `${service.metadata.namespace}/${service.metadata.name}`,
      clusterIP: service.spec.clusterIP,
      port: port.port,
      nodePort: port.nodePort,
      loadBalancerIP,
      podPort,
      pods: slice.endpoints.map(({ addresses: [ip], targetRef }) => ({ name: targetRef?.name ?? ip, ip })),
      setPods: (pods) => writeSlice(found.file, slice, pods),
    }
  }
  throw new Error(`no Service with a NodePort, a load balancer's address and two IPv4 endpoints in ${from}`)
}

const readObjects = (file: string): readonly unknown[] =>
  parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document): unknown => document.toJS())
    .filter((object) => object !== null)

const isSliceOf = (object: unknown, service: string): boolean => {
  const slice = EndpointSlice.safeParse(object).data
  return slice?.addressType === 'IPv4' && slice.metadata.labels['kubernetes.io/service-name'] === service
}

const writeSlice = (file: string, slice: EndpointSlice, pods: readonly Pod[]): void => {
  const [template] = slice.endpoints
  const endpoints = pods.map(({ name, ip }) => ({
    ...template,
    addresses: [ip],
    ...(template?.targetRef === undefined ? {} : { targetRef: { ...template.targetRef, name } }),
  }))
  const changed = { ...slice, endpoints }
  const objects = readObjects(file).map((object) =>
    EndpointSlice.safeParse(object).data?.metadata.name === slice.metadata.name ? changed : object,
  )
  const draft = `${file}.draft`
  writeFileSync(draft, objects.map((object) => stringify(object)).join('---\n'))
  renameSync(draft, file)
}

/** `count` pods with the addresses and names that follow those of `pods`. */
export const morePods = (pods: readonly Pod[], count: number): readonly Pod[] => {
  const octets = pods.map(({ ip }) => ip.split('.').map(Number))
  const last = Math.max(...octets.map((parts) => parts[3] ?? 0))
  const network = octets[0]?.slice(0, 3).join('.') ?? ''
  return Array.from({ length: count }, (_, i) => ({ name: `more-${i + 1}`, ip: `${network}.${last + 1 + i}` }))
}
