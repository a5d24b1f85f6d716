import { parseArgs } from 'node:util'
import { defaultLeafSize } from '../src/backends/iptables/tree/tree.ts'
import { type Variant, variants } from '../src/kernel/iptables/iptables.ts'
import { podCapacity } from './cluster/addresses.ts'
import { isLayoutName, type LayoutName, layouts } from './iptables/layouts.ts'

export const sectionNames = [
  'sync',
  'cli',
  'kube-proxy',
  'connect',
  'conntrack',
  'iptables',
  'iptables-connect',
  'ipvs',
  'iptables-dispatch',
] as const
export type SectionName = (typeof sectionNames)[number]
/** Takes long and is of interest to few: only when it is named. */
const onRequest: ReadonlySet<SectionName> = new Set(['iptables-dispatch'])

export interface Options {
  readonly sections: readonly SectionName[]
  readonly quick: boolean
  readonly services: number
  readonly endpoints: number
  readonly seed: number
  readonly iptables: IptablesOptions
  readonly ipvs: IpvsOptions
  readonly dispatch: DispatchOptions
  /** Where the results go as JSON. */
  readonly json: string
}

export interface IptablesOptions {
  readonly services: number
  /** No first sync may take longer. */
  readonly limitMs: number
  /** Undefined: those that the section compares by itself. */
  readonly layouts: readonly LayoutName[] | undefined
  readonly variants: readonly Variant[]
  /** Flushes and their repair are measured however long they take. */
  readonly repairs: boolean
}

export interface IpvsOptions {
  readonly services: number
}

export interface DispatchOptions {
  /** Numbers of Services; 1 is always measured, for the others are held against it. */
  readonly sizes: readonly number[]
  /** How many entries a leaf of the tree may have. */
  readonly leafSizes: readonly number[]
}

const iptablesServices = 5_000
const ipvsServices = 2_000

export const usage = `usage: npm run bench -- [OPTION...]
  --quick          2,000 Services and fewer repetitions: some four minutes
  --only NAME,...  these sections: ${sectionNames.join(', ')}
  --services N     instead of 20,000
  --endpoints N    of each Service, instead of 8
  --seed N         of the synthetic cluster and its changes; 1 unless given
  --json FILE      instead of bench/results/latest.json

sections iptables and iptables-connect:
  --iptables-variants V,...  ${variants.join(',')} unless given
  --iptables-services N      instead of 5,000, section iptables only; 20,000 take half an hour
  --iptables-layouts L,...   of ${Object.keys(layouts).join(', ')}
  --iptables-limit N         minutes that a first sync may take; 20 unless given
  --iptables-repairs         flushes and their repair, however long they take; section iptables only

section ipvs, in a guest of user-mode Linux:
  --ipvs-services N          instead of 2,000

section iptables-dispatch, which runs only when it is named:
  --dispatch-services N,...  1,10,50,100,500,1000,10000 unless given; 1 is always measured
  --leaf-sizes N,...         entries in a leaf of the tree; ${defaultLeafSize} unless given
`

export class UsageError extends Error {}

/** @throws UsageError with a line for the user */
export const parseOptions = (argv: readonly string[], defaultJson: string): Options | 'help' => {
  const { values } = parse(argv)
  if (values.help) return 'help'
  const quick = values.quick
  const services = count('--services', values.services, quick ? 2_000 : 20_000, podCapacity)
  const endpoints = count('--endpoints', values.endpoints, 8, 100)
  if (services * endpoints > podCapacity / 2) throw new UsageError(`more than ${podCapacity / 2} endpoints`)
  return {
    sections: sections(values.only),
    quick,
    services,
    endpoints,
    seed: count('--seed', values.seed, 1, 2 ** 31),
    iptables: {
      services: count('--iptables-services', values['iptables-services'], quick ? 500 : iptablesServices, 50_000),
      limitMs: count('--iptables-limit', values['iptables-limit'], 20, 600) * 60_000,
      layouts: values['iptables-layouts'] === undefined ? undefined : layoutNames(values['iptables-layouts']),
      repairs: values['iptables-repairs'],
      variants: variants.filter((variant) =>
        names('--iptables-variants', values['iptables-variants'] ?? variants.join(), variants).includes(variant),
      ),
    },
    ipvs: { services: count('--ipvs-services', values['ipvs-services'], ipvsServices, 10_000) },
    dispatch: {
      sizes: counts('--dispatch-services', values['dispatch-services'], [1, 10, 50, 100, 500, 1_000, 10_000], 100_000),
      leafSizes: counts('--leaf-sizes', values['leaf-sizes'], [defaultLeafSize], 10_000),
    },
    json: values.json ?? defaultJson,
  }
}

const parse = (argv: readonly string[]) => {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true, default: [] },
        services: { type: 'string' },
        endpoints: { type: 'string' },
        seed: { type: 'string' },
        'iptables-services': { type: 'string' },
        'iptables-repairs': { type: 'boolean', default: false },
        'iptables-variants': { type: 'string' },
        'iptables-layouts': { type: 'string' },
        'iptables-limit': { type: 'string' },
        'ipvs-services': { type: 'string' },
        'dispatch-services': { type: 'string' },
        'leaf-sizes': { type: 'string' },
        json: { type: 'string' },
      },
    })
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause))
  }
}

const sections = (only: readonly string[]): readonly SectionName[] => {
  const named = only.flatMap((list) => names('--only', list, sectionNames))
  return sectionNames.filter((name) => (named.length === 0 ? !onRequest.has(name) : named.includes(name)))
}

const count = (flag: string, text: string | undefined, preset: number, most: number): number => {
  if (text === undefined) return preset
  const value = Number(text.replaceAll(',', ''))
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`${flag}: "${text}" is no whole number from 1 to ${most}`)
  return value
}

const counts = (flag: string, text: string | undefined, preset: readonly number[], most: number): readonly number[] =>
  text === undefined ? preset : text.split(',').map((one) => count(flag, one, 0, most))

const layoutNames = (text: string): readonly LayoutName[] =>
  names('--iptables-layouts', text, Object.keys(layouts)).filter(isLayoutName)

const names = (flag: string, text: string, known: readonly string[]): readonly string[] => {
  const named = [...new Set(text.split(','))]
  for (const name of named)
    if (!known.includes(name)) throw new UsageError(`${flag}: "${name}" is none of ${known.join(', ')}`)
  return named
}
