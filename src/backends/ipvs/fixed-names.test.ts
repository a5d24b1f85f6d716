import { expect, it } from 'vitest'
import { ipvsSettings } from '../../../test/kernel/sync-ipvs-rig.ts'
import { hostOf } from '../../../test/support/iptables-layouts.ts'
import { fixedLayout } from './fixed.ts'
import { fixedChainNames } from './fixed-names.ts'

it('names of fixed chains are those of the layout', () => {
  const layout = fixedLayout(hostOf('IPv4'), ipvsSettings('IPv4'))
  const names = Object.values(layout).flatMap(({ chains }) => chains.map(({ name }) => name))
  expect(new Set(names)).toEqual(fixedChainNames)
})
