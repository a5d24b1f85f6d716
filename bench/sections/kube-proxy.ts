import { member, synthesize } from '../cluster/cluster.ts'
import { createScene, type Scene } from '../connect/scene.ts'
import { kubeProxyChange, kubeProxyTable } from '../kube-proxy/layout.ts'
import { runNft } from '../process/nft.ts'
import { type Bench, size } from './section.ts'

/** A cold load that would take longer is not done. */
const limitMs = 60_000
/** Time for listings, of which one may take ten seconds. */
const listLimitMs = 15_000

export interface LoadedScene {
  readonly scene: Scene
  readonly services: number
}

/** The same clusters in kube-proxy's layout: what loading and changing them takes. Leaves the largest one loaded. */
export const kubeProxySection = async ({ options, report, begin }: Bench): Promise<LoadedScene> => {
  const { services, endpoints } = options
  await begin(`The same cluster as a chain per Service with an anonymous map (kube-proxy 1.36), through nft -f`)
  const sizes = [...new Set([services / 8, services / 4, services].map((n) => Math.max(1, Math.floor(n))))]
  const times: { readonly services: number; readonly ms: number }[] = []
  let loaded: LoadedScene | undefined
  for (const count of sizes) {
    const expected = extrapolated(times, count)
    if (expected > limitMs) {
      report.add(`cold, ${size(count, endpoints)}: not measured, extrapolated from the sizes above`, 'ms', [expected])
      break
    }
    const scene = await createScene(`kp-${count}`)
    const script = kubeProxyTable(synthesize({ ...options, services: count }))
    const ms = await runNft(scene.node, ['-f', '-'], script)
    times.push({ services: count, ms })
    report.add(`cold, ${size(count, endpoints)}: one nft -f`, 'ms', [ms])
    loaded = { scene, services: count }
  }
  if (loaded === undefined) throw new Error('nothing was loaded')
  const { change, list } = await changes(loaded, options)
  const of = size(loaded.services, endpoints)
  report.add(`one endpoint replaced, ${of}: nft -f of one chain`, 'ms', change)
  report.add('  and the listing of the table that each of its syncs makes', 'ms', list)
  return loaded
}

/** What a power law through the last two sizes says of a third; 0 from less than two. */
export const extrapolated = (
  times: readonly { readonly services: number; readonly ms: number }[],
  services: number,
): number => {
  const [first, second] = times.slice(-2)
  if (first === undefined || second === undefined) return 0
  const exponent = Math.log(second.ms / first.ms) / Math.log(second.services / first.services)
  return second.ms * (services / second.services) ** exponent
}

const changes = async (
  { scene, services }: LoadedScene,
  options: Bench['options'],
): Promise<{ readonly change: readonly number[]; readonly list: readonly number[] }> => {
  const wanted = options.quick ? 10 : 30
  const every = Math.max(1, Math.floor(services / wanted))
  const change: number[] = []
  const list: number[] = []
  let listMs = 0
  let number = 0
  for (const service of synthesize({ ...options, services })) {
    if (number++ % every !== 0) continue
    const members = service.members.with(0, member(services * options.endpoints + number))
    if (listMs < listLimitMs) {
      const ms = await runNft(scene.node, ['--json', '--terse', 'list', 'table', 'ip', 'kube-proxy'])
      list.push(ms)
      listMs += ms
    }
    change.push(await runNft(scene.node, ['-f', '-'], kubeProxyChange(service, members)))
    await runNft(scene.node, ['-f', '-'], kubeProxyChange(service, service.members))
    if (change.length === wanted) break
  }
  return { change, list }
}
