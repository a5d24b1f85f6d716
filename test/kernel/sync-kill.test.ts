/**
 * The program is killed at any moment, in the middle of starting or of changes that stream in. Whatever it leaves is one
 * of the states that it was asked for, old or new, never a mixture; and the next one goes on from there.
 */
import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { readElement } from '../../src/backends/nftables/codec.ts'
import type { Element } from '../../src/backends/nftables/element.ts'
import { nftFamily, type SetName, tableName } from '../../src/backends/nftables/schema.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { randomFrom } from '../support/random.ts'
import { runWeir, startWeir, temporaryFolder } from './cli-program.ts'
import { dumpTable } from './sync-dump.ts'
import { never } from './sync-rig.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())
const folder = temporaryFolder()
const args = ['--manifests', folder, '--hostname-override', 'here']

const names = ['one', 'two', 'three', 'four'] as const
const vipOf = (family: Family, index: number): string =>
  family === 'IPv4' ? `10.96.0.${index + 1}` : `fd00::${index + 1}`
/** None at times, and more than four at times: then the class of the service changes. */
const countOf = (version: number): number => (version % 5 === 4 ? 0 : 1 + ((version * 7) % 6))
const podOf = (family: Family, version: number, index: number): string =>
  family === 'IPv4' ? `10.${version >> 8}.${version & 255}.${index + 1}` : `fd01:${version.toString(16)}::${index + 1}`

const write = (name: string, items: readonly unknown[]): void => {
  writeFileSync(join(folder, `${name}.tmp`), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  renameSync(join(folder, `${name}.tmp`), join(folder, `${name}.yaml`))
}

const serviceManifests = names.map((name, index) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'ns', name },
  spec: {
    type: 'ClusterIP',
    clusterIP: vipOf('IPv4', index),
    clusterIPs: families.map((family) => vipOf(family, index)),
    ipFamilies: families,
    ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
    ...(index === 1
      ? { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } }
      : {}),
  },
}))

const writeVersion = (version: number): void =>
  write(
    'slices',
    names.flatMap((name) =>
      families.map((family) => ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          namespace: 'ns',
          name: `${name}-${family.toLowerCase()}`,
          labels: { 'kubernetes.io/service-name': name },
        },
        addressType: family,
        ports: [{ name: '', port: 8080, protocol: 'TCP' }],
        endpoints: Array.from({ length: countOf(version) }, (_, index) => ({
          addresses: [podOf(family, version, index)],
          conditions: { ready: true },
          nodeName: index === 0 ? 'here' : 'there',
        })),
      })),
    ),
  )

const elementsOf = async (family: Family, set: SetName): Promise<readonly Element[]> => {
  const found: Element[] = []
  await kernel.dumpElements(
    { family: nftFamily(family), name: tableName },
    set,
    (key, keyEnd, data, comment) => {
      const element = readElement(set, family, { key, keyEnd, data, comment, intervalEnd: false })
      assert.ok(element !== undefined)
      found.push(element)
    },
    never,
    { restart: () => found.splice(0) },
  )
  return found
}

/** Which version is in the kernel; undefined = nothing yet. Throws for a mixture. */
const versionIn = async (family: Family): Promise<number | undefined> => {
  const dump = await dumpTable(kernel, nftFamily(family))
  if (dump === undefined) return undefined
  const [endpoints, services, refused, clusterIPs] = await Promise.all(
    (['endpoints', 'services', 'no-endpoint-services', 'cluster-ips'] as const).map((set) => elementsOf(family, set)),
  )
  assert.ok(endpoints !== undefined && services !== undefined && refused !== undefined && clusterIPs !== undefined)
  if (clusterIPs.length === 0) {
    assert.deepEqual([endpoints, services, refused], [[], [], []])
    return undefined
  }
  assert.equal(clusterIPs.length, names.length)
  if (endpoints.length === 0) {
    assert.equal(services.length, 0)
    assert.equal(refused.length, names.length)
    return 4
  }
  const [first] = endpoints
  const parts = String(Array.isArray(first?.value) ? first.value[0] : '').split(family === 'IPv4' ? '.' : ':')
  const version = family === 'IPv4' ? Number(parts[1]) * 256 + Number(parts[2]) : Number.parseInt(parts[1] ?? '', 16)
  const count = countOf(version)
  const wanted = names.flatMap((_, index) =>
    Array.from(
      { length: count },
      (_, slot) => `${vipOf(family, index)} TCP 80 ${slot} : ${podOf(family, version, slot)} 8080`,
    ),
  )
  const text = ({ key, value }: Element): string => `${key.join(' ')} : ${Array.isArray(value) ? value.join(' ') : ''}`
  assert.deepEqual(endpoints.map(text).sort(), wanted.sort())
  assert.equal(services.length, names.length)
  assert.deepEqual(refused, [])
  const size = count > 4 ? 'upto16' : 'upto4'
  for (const { value } of services) {
    assert.ok(
      value !== undefined && 'kind' in value && value.kind === 'goto' && value.chain.startsWith(`random-${size}`),
    )
    assert.ok((dump.rules[value.chain]?.length ?? 0) > 16, 'and the chain has its rules')
  }
  return version
}

t.test('killed twenty times and more', async (t) => {
  write('services', serviceManifests)
  const random = randomFrom(20_261_120)
  let version = 0
  writeVersion(version)
  const seen = new Set<string>()
  let progress = 0
  // On a busy machine a process gets less far before it dies: then it takes more of them to say something.
  const enough = (round: number): boolean => round >= 20 && (progress >= 15 || round >= 50)
  for (let round = 0; !enough(round); round++) {
    const from = version
    const weir = startWeir(t, args)
    let over = false
    const writing = (async () => {
      while (!over) {
        version++
        writeVersion(version)
        await sleep(4 + random(12))
      }
    })()
    // Half of them live long enough to follow the stream of changes, the others die on the way there.
    if (round % 2 === 0) {
      const start = performance.now()
      await weir.serving()
      // What takes long to start takes long to write.
      await sleep(random(Math.max(250, (performance.now() - start) / 2)))
    } else await sleep(random(600))
    const { killer } = await weir.end('SIGKILL')
    over = true
    await writing
    assert.equal(killer, 'SIGKILL')
    const found = await Promise.all(families.map(versionIn))
    for (const each of found) if (each !== undefined && each >= from) progress++
    seen.add(found.join())
  }
  t.comment(`versions found, IPv4 and IPv6: ${[...seen].join(' | ')}`)
  t.pass('never half a state')
  t.ok(progress >= 15, `${progress} times it had got on`)

  version++
  while (countOf(version) === 0) version++
  writeVersion(version)
  const { status, stderr } = await runWeir([...args, '--once'])
  t.equal(status, 0, stderr)
  const incremental = await Promise.all(families.map((family) => dumpTable(kernel, nftFamily(family))))
  t.same(await Promise.all(families.map(versionIn)), [version, version], 'the next start converges')
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, tableName, never)
  await runWeir([...args, '--once'])
  const fresh = await Promise.all(families.map((family) => dumpTable(kernel, nftFamily(family))))
  const used = (dump: (typeof fresh)[number]) => ({
    elements: dump?.elements,
    sets: dump?.sets,
    comment: dump?.comment,
  })
  t.same(incremental.map(used), fresh.map(used))
  // With --once nothing is tidied away: what the last one left unused may still be there.
  incremental.forEach((dump, i) => {
    for (const [chain, rules] of Object.entries(fresh[i]?.rules ?? {})) t.same(dump?.rules[chain], rules, chain)
  })
})
