import { parseArgs } from 'node:util'
import { podCapacity } from './cluster/addresses.ts'

export const sectionNames = ['sync', 'cli', 'kube-proxy', 'connect'] as const
export type SectionName = (typeof sectionNames)[number]

export interface Options {
  readonly sections: readonly SectionName[]
  readonly quick: boolean
  readonly services: number
  readonly endpoints: number
  readonly seed: number
  /** Where the results go as JSON. */
  readonly json: string
}

export const usage = `usage: npm run bench -- [OPTION...]
  --quick          2,000 Services and fewer repetitions: under half a minute
  --only NAME,...  these sections: ${sectionNames.join(', ')}
  --services N     instead of 20,000
  --endpoints N    of each Service, instead of 8
  --seed N         of the synthetic cluster and its changes; 1 unless given
  --json FILE      instead of bench/results/latest.json
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
        json: { type: 'string' },
      },
    })
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause))
  }
}

const isSection = (name: string): name is SectionName => sectionNames.some((known) => known === name)

const sections = (only: readonly string[]): readonly SectionName[] => {
  const named = only.flatMap((list) => list.split(','))
  for (const name of named)
    if (!isSection(name)) throw new UsageError(`--only: "${name}" is none of ${sectionNames.join(', ')}`)
  return named.length === 0 ? sectionNames : sectionNames.filter((name) => named.includes(name))
}

const count = (flag: string, text: string | undefined, preset: number, most: number): number => {
  if (text === undefined) return preset
  const value = Number(text.replaceAll(',', ''))
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`${flag}: "${text}" is no whole number from 1 to ${most}`)
  return value
}
