import { parseArgs } from 'node:util'

export interface AlgorithmOptions {
  /** Milliseconds of one sample. */
  readonly ms: number
  /** Schedulers to measure; all when empty. */
  readonly only: readonly string[]
  readonly json: string
}

export const algorithmUsage = `usage: node build/bench/algorithms.js [OPTION...]
  --quick          shorter samples: about five seconds instead of half a minute
  --only NAME,...  these schedulers
  --json FILE      instead of bench/results/algorithms.json
`

/** @throws TypeError for an option that there is not */
export const parseAlgorithmOptions = (args: readonly string[]): AlgorithmOptions & { readonly help: boolean } => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string', default: 'bench/results/algorithms.json' },
    },
  })
  return {
    ms: values.quick ? 3 : 20,
    only: values.only.flatMap((list) => list.split(',')),
    json: values.json,
    help: values.help,
  }
}
