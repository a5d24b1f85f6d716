import { IptablesBackend } from '../../src/backends/iptables/backend.ts'
import type { IptablesPlan } from '../../src/backends/iptables/plan.ts'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { type Ledger, TestIpset, TestIptables, TestWatch } from './sync-iptables-faults.ts'
import type { RuleKernel } from './sync-iptables-kernel.ts'
import { BackendRig, type LoopOptions } from './sync-rig.ts'

export type Layout = Pick<IptablesSettings, 'ipset' | 'dispatch'>

export const layouts: readonly Layout[] = [false, true].flatMap((ipset) =>
  (['flat', 'tree'] as const).map((dispatch) => ({ ipset, dispatch })),
)

export const layoutName = ({ ipset, dispatch }: Layout): string => `${ipset ? 'ipset' : 'plain'}, ${dispatch}`

export const settingsFor = (family: Family, over: Partial<IptablesSettings> = {}): IptablesSettings => ({
  family,
  localhostNodePorts: false,
  dropInvalid: true,
  randomFully: true,
  nfacct: false,
  ipset: false,
  dispatch: 'flat',
  ...over,
})

/** Remembers its plans. */
export class RecordingIptables extends IptablesBackend {
  readonly settings: IptablesSettings
  readonly iptables: TestIptables
  readonly plans: IptablesPlan[] = []

  constructor(kernel: RuleKernel, settings: IptablesSettings, ledger: Ledger, watch: TestWatch) {
    const { family } = settings
    const iptables = new TestIptables(kernel.iptables[family], ledger)
    super({ family, settings, iptables, ipset: new TestIpset(kernel.ipset, ledger), watch })
    this.settings = settings
    this.iptables = iptables
  }

  override plan(...args: Parameters<IptablesBackend['plan']>): IptablesPlan {
    const plan = super.plan(...args)
    this.plans.push(plan)
    return plan
  }
}

export interface IptablesRigOptions extends LoopOptions {
  readonly kernel: RuleKernel
  readonly ledger: Ledger
  readonly layout?: Partial<IptablesSettings>
  readonly watch?: TestWatch
}

export class IptablesRig extends BackendRig<RecordingIptables> {
  readonly watch: TestWatch

  constructor({ kernel, ledger, layout = {}, watch = new TestWatch(), ...loop }: IptablesRigOptions) {
    const backend = (family: Family): RecordingIptables =>
      new RecordingIptables(kernel, settingsFor(family, { ...layout, family }), ledger, watch)
    const [first, ...rest] = families
    super([backend(first), ...rest.map(backend)], loop)
    this.watch = watch
  }
}
