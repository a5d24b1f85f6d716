import {
  type ChainClass,
  className,
  type PickClass,
  pickFor,
  recorder,
  type SplitClass,
  slotTableFor,
} from '../../src/backends/nftables/class.ts'
import { nftSchedulers } from '../../src/backends/nftables/slots.ts'
import type { HostState, LocalDetector } from '../../src/model/host.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { SchedulerFlag } from '../../src/model/scheduling.ts'
import { cidr, ip } from '../property/track-objects.ts'

/** Every kind of class chain that a layout can ask for, with a size or two of each. */

const flagSets: readonly (readonly SchedulerFlag[])[] = [[], ['sh-port', 'mh-port']]

const picks = (): readonly PickClass[] =>
  nftSchedulers.flatMap((scheduler) =>
    flagSets.flatMap((flags) =>
      (['address', 'nodeport'] as const).flatMap((frontend) =>
        (['all', 'local', 'cluster'] as const).flatMap((range) =>
          [true, false].flatMap((masquerade) =>
            [true, false].flatMap((sticky) =>
              [1, 5].map(
                (count): PickClass => ({
                  kind: 'pick',
                  frontend,
                  scheduler,
                  pick: pickFor(scheduler, { scheduler, flags, weights: undefined }, 'ns/web/http/tcp'),
                  table: slotTableFor(scheduler, count),
                  range,
                  masquerade,
                  sticky,
                }),
              ),
            ),
          ),
        ),
      ),
    ),
  )

/** Without repetition: only `sh` and `mh` have flags. */
const allPicks: readonly PickClass[] = [...new Map(picks().map((each) => [JSON.stringify(each), each])).values()]

const splits: readonly SplitClass[] = allPicks
  .filter(({ range, masquerade }) => range === 'cluster' && !masquerade)
  .flatMap((cluster) =>
    [undefined, 1, 5].map((count): SplitClass => {
      const local: PickClass | undefined =
        count === undefined ? undefined : { ...cluster, range: 'local', table: slotTableFor(cluster.scheduler, count) }
      return { kind: 'split', cluster, local }
    }),
  )

export const allClasses: readonly ChainClass[] = [
  ...allPicks,
  ...splits,
  ...[1, 600, 86_400].map((seconds) => ({ kind: 'record', seconds }) as const),
  recorder,
]

export const namesOf = (classes: readonly ChainClass[]): readonly string[] => classes.map(className)

export const detectors = (family: Family): readonly LocalDetector[] => [
  { kind: 'none' },
  { kind: 'cidr', cidr: cidr(family === 'IPv4' ? '10.244.0.0/16' : 'fd00:1::/64') },
  { kind: 'cidr', cidr: cidr(family === 'IPv4' ? '10.244.1.128/25' : 'fd00:1:2:3:4::/77') },
  { kind: 'cidr', cidr: cidr(family === 'IPv4' ? '10.1.2.3/32' : 'fd00::1/128') },
  { kind: 'cidr', cidr: cidr(family === 'IPv4' ? '0.0.0.0/0' : '::/0') },
  { kind: 'interface', name: 'cni0' },
  { kind: 'interfacePrefix', prefix: 'veth' },
]

/** Hosts that differ in everything that rules depend on. */
export const hostsOf = (family: Family): readonly HostState[] =>
  detectors(family).flatMap((detector) =>
    [false, true].flatMap((masqueradeAll) =>
      [0x4000, 0x1, 0x8000_0000].flatMap((masqueradeMark) =>
        [undefined, family === 'IPv4' ? '192.0.2.1' : '2001:db8::1'].map(
          (address): HostState => ({
            family,
            detector,
            masqueradeAll,
            masqueradeMark,
            nodePortAddresses: address === undefined ? { kind: 'all' } : { kind: 'some', addresses: [ip(address)] },
            serviceCidrs: [],
            addresses: [],
          }),
        ),
      ),
    ),
  )

export const allHosts: readonly HostState[] = families.flatMap(hostsOf)
