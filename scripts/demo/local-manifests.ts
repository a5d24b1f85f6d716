import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { z } from 'zod'
import type { Pod } from './manifests.ts'

const Meta = z.looseObject({
  name: z.string(),
  annotations: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
})
const Service = z.looseObject({
  kind: z.literal('Service'),
  metadata: Meta,
  spec: z.looseObject({ ports: z.array(z.looseObject({ nodePort: z.number().optional() })) }),
})
const EndpointSlice = z.looseObject({
  kind: z.literal('EndpointSlice'),
  metadata: Meta,
  addressType: z.string(),
  ports: z.array(z.looseObject({ port: z.number() })),
  endpoints: z.array(
    z.looseObject({ addresses: z.array(z.string()), targetRef: z.looseObject({ name: z.string() }).optional() }),
  ),
})
type EndpointSlice = z.infer<typeof EndpointSlice>

/** examples/ with pods that a machine without privilege can have. */
export class LocalManifests {
  readonly folder: string
  readonly #podPort: number

  /** Copies `from` to `folder`: pods are at 127.… instead of 10.…, all at `podPort`; NodePorts become `nodePort`. */
  constructor(from: string, folder: string, podPort: number, nodePort: number) {
    this.folder = folder
    this.#podPort = podPort
    cpSync(from, folder, { recursive: true, filter: (path) => !path.includes('simulate') })
    for (const file of this.#files())
      this.#rewrite(file, (object) => {
        const service = Service.safeParse(object).data
        if (service !== undefined) return withNodePort(service, nodePort)
        const slice = EndpointSlice.safeParse(object).data
        return slice?.addressType === 'IPv4' ? this.#withPods(slice, podsOf(slice)) : object
      })
  }

  /** The pods of a Service, as they are in its slice. */
  pods(service: string): readonly Pod[] {
    for (const file of this.#files())
      for (const object of readObjects(file)) {
        const slice = sliceOf(object, service)
        if (slice !== undefined) return podsOf(slice)
      }
    throw new Error(`no EndpointSlice of ${service} in ${this.folder}`)
  }

  /** Writes the slice of a Service anew, at once for every reader. */
  setPods(service: string, pods: readonly Pod[]): void {
    this.#change((object) => {
      const slice = sliceOf(object, service)
      return slice === undefined ? object : this.#withPods(slice, pods)
    }, service)
  }

  annotate(service: string, name: string, value: string): void {
    this.#change((object) => {
      const found = Service.safeParse(object).data
      if (found?.metadata.name !== service) return object
      const annotations = { ...found.metadata.annotations, [name]: value }
      return { ...found, metadata: { ...found.metadata, annotations } }
    }, service)
  }

  #withPods(slice: EndpointSlice, pods: readonly Pod[]): EndpointSlice {
    const [template] = slice.endpoints
    const endpoints = pods.map(({ name, ip }) => ({
      ...template,
      addresses: [ip],
      targetRef: { kind: 'Pod', namespace: 'default', name },
    }))
    return { ...slice, ports: slice.ports.map((port) => ({ ...port, port: this.#podPort })), endpoints }
  }

  #change(change: (object: unknown) => unknown, service: string): void {
    const file = this.#files().find((name) =>
      readObjects(name).some((object) => Service.safeParse(object).data?.metadata.name === service),
    )
    if (file === undefined) throw new Error(`no Service ${service} in ${this.folder}`)
    this.#rewrite(file, change)
  }

  #rewrite(file: string, change: (object: unknown) => unknown): void {
    const draft = `${file}.draft`
    writeFileSync(
      draft,
      readObjects(file)
        .map((object) => stringify(change(object)))
        .join('---\n'),
    )
    renameSync(draft, file)
  }

  #files(): readonly string[] {
    return readdirSync(this.folder, { encoding: 'utf8' })
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(this.folder, name))
  }
}

const readObjects = (file: string): readonly unknown[] =>
  parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document): unknown => document.toJS())
    .filter((object) => object !== null)

const sliceOf = (object: unknown, service: string): EndpointSlice | undefined => {
  const slice = EndpointSlice.safeParse(object).data
  const isIts = slice?.addressType === 'IPv4' && slice.metadata.labels?.['kubernetes.io/service-name'] === service
  return isIts ? slice : undefined
}

const podsOf = ({ endpoints }: EndpointSlice): readonly Pod[] =>
  endpoints.map(({ addresses: [address = ''], targetRef }) => {
    const ip = address.replace(/^10\./, '127.')
    return { name: targetRef?.name ?? ip, ip }
  })

const withNodePort = (service: z.infer<typeof Service>, nodePort: number): unknown => ({
  ...service,
  spec: {
    ...service.spec,
    ports: service.spec.ports.map((port) => (port.nodePort === undefined ? port : { ...port, nodePort })),
  },
})
