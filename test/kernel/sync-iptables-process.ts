import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { nodeAddresses } from './sync-cluster.ts'
import { dumpRules, type RulesDump } from './sync-iptables-dump.ts'
import { Ledger } from './sync-iptables-faults.ts'
import { type RuleKernel, realKernel } from './sync-iptables-kernel.ts'
import { IptablesRig, type RecordingIptables } from './sync-iptables-rig.ts'
import { wipeRules } from './sync-iptables-tools.ts'

export const kernels = { legacy: realKernel('legacy'), nft: realKernel('nft') } as const

export const closeKernels = (): void => {
  for (const kernel of Object.values(kernels)) kernel.close()
}

export interface Start {
  readonly rig: IptablesRig
  readonly ledger: Ledger
  readonly ipv4: RecordingIptables
}

/** A new process with these objects. */
export const start = (
  variant: Variant,
  objects: readonly ModelChange[],
  layout: Partial<IptablesSettings> = {},
  kernel: RuleKernel = kernels[variant],
): Start => {
  const ledger = new Ledger()
  const rig = new IptablesRig({ kernel, ledger, layout })
  rig.tracker.apply(objects)
  rig.setAddresses(nodeAddresses)
  const [ipv4] = rig.backends
  if (ipv4 === undefined) throw new Error('no backend')
  return { rig, ledger, ipv4 }
}

/** What a full sync of these objects writes into empty tables. */
export const wantedFor = async (
  variant: Variant,
  objects: readonly ModelChange[],
  layout: Partial<IptablesSettings> = {},
): Promise<RulesDump> => {
  await wipeRules(variant)
  await start(variant, objects, layout).rig.mustSync()
  const wanted = await dumpRules(kernels[variant])
  await wipeRules(variant)
  return wanted
}
