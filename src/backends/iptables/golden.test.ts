import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  hostOf,
  layoutsOf,
  layoutsText,
  policies,
  settingsOf,
  wellKnown,
} from '../../../test/support/iptables-layouts.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families } from '../../model/ip.ts'
import type { IptablesSettings } from './settings.ts'

/** Whole texts, as kube-proxy would give them to iptables-restore; with ipset preceded by the sets. */
const golden = (name: string): string =>
  readFileSync(new URL(`../../../test/golden/iptables/${name}.rules`, import.meta.url), 'utf8')

/** A node with every option that adds or leaves out something turned the other way. */
const sparse: Partial<IptablesSettings> = {
  localhostNodePorts: false,
  dropInvalid: false,
  randomFully: false,
  nfacct: false,
}

interface Case {
  readonly name: string
  readonly states: (family: Family) => readonly ServiceState[]
  readonly settings: Partial<IptablesSettings>
  readonly host: Partial<HostState>
}

const cases: readonly Case[] = [
  { name: 'well-known', states: wellKnown, settings: {}, host: {} },
  {
    name: 'policies',
    states: policies,
    settings: sparse,
    host: { detector: { kind: 'interfacePrefix', prefix: 'veth' }, masqueradeMark: 0x80000000 },
  },
]

describe.each(families)('the rules of %s', (family) => {
  describe.each([false, true])('with ipset %s', (ipset) => {
    it.each(cases)('for Services of $name are these', ({ name, states, settings: some, host }) => {
      const settings = settingsOf(family, { ...some, ipset })
      const text = layoutsText(layoutsOf(hostOf(family, host), settings, states(family)), settings)
      expect(text).toBe(golden(`${name}-${ipset ? 'ipset' : 'plain'}-${family === 'IPv4' ? 4 : 6}`))
    })
  })
})
