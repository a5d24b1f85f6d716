import { isDeepStrictEqual } from 'node:util'
import type { Issue } from './config-error.ts'
import type { FlagValues } from './flag-values.ts'
import { formatGoDuration, type GoDuration, seconds } from './go-duration.ts'
import type { FileSettings, Settings, WeirSettings } from './shape.ts'

/** Which of the two implementations of iptables writes the rules; `auto`: the one that the node uses already. */
export const iptablesVariants = ['auto', 'legacy', 'nft'] as const
export type IptablesVariant = (typeof iptablesVariants)[number]

/** How a packet finds the chain of its Service: past one rule after another, or down a tree of chains. */
export const iptablesDispatches = ['flat', 'tree'] as const
export type IptablesDispatch = (typeof iptablesDispatches)[number]

/** Whether nftables leads traffic to the process; `auto`: where it can be used. */
export const userspaceRedirects = ['auto', 'always', 'never'] as const
export type UserspaceRedirect = (typeof userspaceRedirects)[number]

export const weirDefaults: WeirSettings = {
  iptables: { variant: 'auto', ipset: false, dispatch: 'flat' },
  userspace: {
    threads: 1,
    redirect: 'auto',
    portRange: '20000-29999',
    connectTimeout: seconds(2),
    tcpIdleTimeout: seconds(3600),
    udpTimeout: seconds(60),
    maxConnections: 0,
    drainTimeout: seconds(20),
  },
  ipvs: { drainTimeout: seconds(15 * 60) },
}

/**
 * The section `weir` of a file, or undefined where it says nothing: what kube-proxy is to read too must not gain a
 * section that kube-proxy warns of.
 */
export const weirOfFile = ({ iptables, userspace, ipvs }: FileSettings['weir']): Settings['weir'] => {
  const said = [...Object.values(iptables), ...Object.values(userspace), ...Object.values(ipvs)]
  if (said.every((value) => value === undefined)) return undefined
  const byDefault = weirDefaults.userspace
  return {
    iptables: {
      variant: iptables.variant || weirDefaults.iptables.variant,
      ipset: iptables.ipset ?? weirDefaults.iptables.ipset,
      dispatch: iptables.dispatch || weirDefaults.iptables.dispatch,
    },
    userspace: {
      threads: userspace.threads ?? byDefault.threads,
      redirect: userspace.redirect || byDefault.redirect,
      portRange: userspace.portRange || byDefault.portRange,
      connectTimeout: userspace.connectTimeout ?? byDefault.connectTimeout,
      tcpIdleTimeout: userspace.tcpIdleTimeout ?? byDefault.tcpIdleTimeout,
      udpTimeout: userspace.udpTimeout ?? byDefault.udpTimeout,
      maxConnections: userspace.maxConnections ?? byDefault.maxConnections,
      drainTimeout: userspace.drainTimeout ?? byDefault.drainTimeout,
    },
    ipvs: { drainTimeout: ipvs.drainTimeout ?? weirDefaults.ipvs.drainTimeout },
  }
}

export const weirOfFlags = (flags: FlagValues): Settings['weir'] =>
  weirOfFile({
    iptables: {
      variant: flags['iptables-variant'],
      ipset: flags['iptables-ipset'],
      dispatch: flags['iptables-dispatch'],
    },
    userspace: {
      threads: flags['userspace-threads'],
      redirect: flags['userspace-redirect'],
      portRange: flags['userspace-port-range'],
      connectTimeout: flags['userspace-connect-timeout'],
      tcpIdleTimeout: flags['userspace-tcp-idle-timeout'],
      udpTimeout: flags['userspace-udp-timeout'],
      maxConnections: flags['userspace-max-connections'],
      drainTimeout: flags['userspace-drain-timeout'],
    },
    ipvs: { drainTimeout: flags['ipvs-drain-timeout'] },
  })

/** As the file has it, durations in Go's words. A part that is as by default is left out where another part is not. */
export const externalWeir = (weir: WeirSettings) => {
  const { userspace, ipvs } = weir
  const { connectTimeout, tcpIdleTimeout, udpTimeout, drainTimeout } = userspace
  const own = (part: keyof WeirSettings): boolean => !isDeepStrictEqual(weir[part], weirDefaults[part])
  const others = own('userspace') || own('ipvs')
  return {
    iptables: others && !own('iptables') ? undefined : weir.iptables,
    userspace: own('userspace')
      ? {
          ...userspace,
          connectTimeout: formatGoDuration(connectTimeout),
          tcpIdleTimeout: formatGoDuration(tcpIdleTimeout),
          udpTimeout: formatGoDuration(udpTimeout),
          drainTimeout: formatGoDuration(drainTimeout),
        }
      : undefined,
    ipvs: own('ipvs') ? { drainTimeout: formatGoDuration(ipvs.drainTimeout) } : undefined,
  }
}

export const weirIssues = ({ iptables: { variant, dispatch }, userspace, ipvs }: WeirSettings): readonly Issue[] => [
  ...notAmong('weir.iptables.variant', variant, iptablesVariants),
  ...notAmong('weir.iptables.dispatch', dispatch, iptablesDispatches),
  ...notWithin('weir.userspace.threads', userspace.threads, 1, maxThreads),
  ...notAmong('weir.userspace.redirect', userspace.redirect, userspaceRedirects),
  ...rangeIssues(userspace.portRange),
  ...notWithin('weir.userspace.maxConnections', userspace.maxConnections, 0, 2 ** 31 - 1),
  ...durationIssues(userspace),
  ...(ipvs.drainTimeout < 0n
    ? [invalidSetting('weir.ipvs.drainTimeout', formatGoDuration(ipvs.drainTimeout), notNegative)]
    : []),
]

const maxThreads = 256
const notNegative = 'must be greater than or equal to 0'

const rangeIssues = (text: string): readonly Issue[] => {
  if (parsePortRange(text) !== undefined) return []
  const why = 'must be FIRST-LAST, ports from 1024 to 65535 in this order, e.g. 20000-29999'
  return [invalidSetting('weir.userspace.portRange', text, why)]
}

const durationIssues = (userspace: WeirSettings['userspace']): readonly Issue[] => {
  const issue = (name: keyof typeof userspace, value: GoDuration, why: string): Issue =>
    invalidSetting(`weir.userspace.${name}`, formatGoDuration(value), why)
  const { connectTimeout } = userspace
  return [
    ...(connectTimeout > 0n ? [] : [issue('connectTimeout', connectTimeout, 'must be greater than 0')]),
    ...(['tcpIdleTimeout', 'udpTimeout', 'drainTimeout'] as const)
      .filter((name) => userspace[name] < 0n)
      .map((name) => issue(name, userspace[name], notNegative)),
  ]
}

/** Unprivileged ports, both ends included; undefined: not in that form. */
export const parsePortRange = (text: string): { readonly first: number; readonly last: number } | undefined => {
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []
  const first = Number(from)
  const last = Number(to)
  return first >= 1024 && last <= 65_535 && first <= last ? { first, last } : undefined
}

const notAmong = (field: string, value: string, known: readonly string[]): readonly Issue[] => {
  if (known.includes(value)) return []
  const supported = known.map((name) => JSON.stringify(name)).join(', ')
  return [{ field, reason: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}` }]
}

const notWithin = (field: string, value: number, least: number, most: number): readonly Issue[] =>
  value >= least && value <= most ? [] : [invalidSetting(field, value, `must be within the range [${least}, ${most}]`)]

const invalidSetting = (field: string, value: unknown, why: string): Issue => ({
  field,
  reason: `Invalid value: ${JSON.stringify(value)}: ${why}`,
})
