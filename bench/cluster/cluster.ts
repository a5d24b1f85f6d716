import { clusterIP, podPlace, scatteredClusterIPs } from './addresses.ts'
import type { Member, ServiceShape } from './manifests.ts'
import { Random } from './random.ts'

export interface ClusterSpec {
  readonly seed: number
  readonly services: number
  /** Per Service; one pod each, all ready. */
  readonly endpoints: number
  /** ClusterIPs are drawn at random, in ascending order; otherwise they follow each other without a gap. */
  readonly scattered?: boolean
}

export interface SyntheticService extends ServiceShape {
  readonly members: readonly Member[]
}

const ports = [80, 443, 5432, 6379, 8080, 9090, 50051] as const
const firstNodePort = 30_000
const nodePorts = 2_768
/** Of so many Services one has a NodePort, as far as the range of node ports reaches. The first always has one. */
const nodePortEvery = 100

/**
 * The Services of a cluster in the order of their numbers: one port and one ClusterIP each, spread over a hundred
 * namespaces. Which pods stand behind which Service, and on which port it listens, follows from the seed.
 */
export function* synthesize({
  seed,
  services,
  endpoints,
  scattered = false,
}: ClusterSpec): Generator<SyntheticService> {
  const random = new Random(seed)
  const pods = shuffled(services * endpoints, random)
  const addresses = scattered ? scatteredClusterIPs(seed, services).sorted : undefined
  for (let i = 0; i < services; i++) {
    const nodePort = i % nodePortEvery === 0 && i / nodePortEvery < nodePorts ? i / nodePortEvery : undefined
    const own = pods.subarray(i * endpoints, (i + 1) * endpoints)
    yield {
      namespace: `team-${i % 100}`,
      name: `app-${i}`,
      clusterIP: addresses?.[i] ?? clusterIP(i),
      port: random.pick(ports),
      nodePort: nodePort === undefined ? undefined : firstNodePort + nodePort,
      members: Array.from(own, member),
    }
  }
}

/** The pod with this number as an endpoint. */
export const member = (pod: number): Member => ({ ...podPlace(pod), pod: `pod-${pod}`, ready: true })

const shuffled = (count: number, random: Random): Uint32Array => {
  const list = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const other = list[j] ?? 0
    list[j] = list[i] ?? 0
    list[i] = other
  }
  return list
}
