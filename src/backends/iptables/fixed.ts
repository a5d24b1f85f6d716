import type { HostState } from '../../model/host.ts'
import type { FixedLayout } from '../rules/fixed-layout.ts'
import { fixedWithSets } from './fixed-ipset.ts'
import { fixedPlain } from './fixed-plain.ts'
import type { IptablesSettings } from './settings.ts'

/** Chains, rules and hooks that do not depend on any Service. Pure. */
export const fixedLayout = (host: HostState, settings: IptablesSettings): FixedLayout =>
  settings.ipset ? fixedWithSets(host, settings) : fixedPlain(host, settings)
