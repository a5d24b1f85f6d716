import { IptablesBackend } from '../../src/backends/iptables/backend.ts'
import { FakeIpset } from '../../src/kernel/ipset/fake-ipset.ts'
import { setTypes } from '../../src/kernel/ipset/ipset.ts'
import { FakeIptables } from '../../src/kernel/iptables/fake-iptables.ts'
import { FakeRulesetWatch } from '../../src/kernel/iptables/fake-ruleset-watch.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Settings } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import { InProcessProxy } from './in-process.ts'
import type { TextIpset } from './ipset-text.ts'
import { readSaved } from './iptables-text.ts'
import { IptablesTracer } from './iptables-tracer.ts'
import { furnish, type IptablesLayout, iptablesTraits } from './iptables-traits.ts'
import { type FamilyTracers, isNodeAddress, nodeInterfaceAddresses } from './trace-flows.ts'

const { signal } = new AbortController()

/** The iptables backend on fakes of the kernel, of which the tracer says what they do to packets. */
export class IptablesOnFakes {
  readonly #layout: IptablesLayout
  readonly #iptables: Readonly<Record<Family, FakeIptables>>
  readonly #ipset = new FakeIpset()
  #proxy: InProcessProxy | undefined

  constructor(variant: Variant, layout: IptablesLayout) {
    this.#layout = layout
    this.#iptables = { IPv4: new FakeIptables(variant, 'IPv4'), IPv6: new FakeIptables(variant, 'IPv6') }
  }

  /** How often something was written. */
  get restores(): number {
    return this.#iptables.IPv4.restores.length + this.#iptables.IPv6.restores.length
  }

  /** Whether the entries of a family are spread over chains. */
  async branches(family: Family): Promise<boolean> {
    const { tables } = await this.#iptables[family].save(signal)
    const names = tables.flatMap(({ chains }) => [...chains.keys()])
    return names.some((name) => name.startsWith('WEIR-') && !/^WEIR-(?:SERVICES|NODEPORTS)$/.test(name))
  }

  /** A new proxy over what the one before left. */
  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.#proxy?.stop()
    const watch = new FakeRulesetWatch()
    const backends = families.map((family) => {
      const localhostNodePorts = iptablesTraits.localhostNodePorts && family === 'IPv4'
      const options = { family, localhostNodePorts, dropInvalid: true, randomFully: true, nfacct: true }
      return new IptablesBackend({
        family,
        settings: { ...options, ...this.#layout },
        iptables: this.#iptables[family],
        ipset: this.#ipset,
        watch,
      })
    })
    const own: Settings = { ...settings, loopbackNodePorts: iptablesTraits.localhostNodePorts }
    this.#proxy = new InProcessProxy(backends, own, { addresses: nodeInterfaceAddresses })
    await this.#proxy.start(furnish(this.#layout, objects))
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#proxy?.update(furnish(this.#layout, objects))
  }

  async tracers(): Promise<FamilyTracers> {
    return { IPv4: await this.#tracer('IPv4'), IPv6: await this.#tracer('IPv6') }
  }

  async #tracer(family: Family): Promise<IptablesTracer> {
    const sets = new Map<string, TextIpset>()
    for (const header of await this.#ipset.list(signal)) {
      const type = setTypes.find((candidate) => candidate === header.type)
      if (type === undefined) throw new TypeError(`a set of type ${header.type}`)
      const set = { name: header.name, type, family: header.family ?? family }
      sets.set(header.name, { type, members: new Set(await this.#ipset.members(set, signal)) })
    }
    return new IptablesTracer(readSaved(await this.#iptables[family].save(signal)), { sets, isLocal: isNodeAddress })
  }
}
