import type { FeatureGates } from './feature-gates.ts'
import type { VModule } from './flag-values.ts'
import { type GoDuration, nanoseconds, parseGoDuration } from './go-duration.ts'
import { isQuantity } from './go-values.ts'

/** One value of the file. `read` gets what YAML gave, never null; undefined means that it is of the wrong type. */
export interface Leaf<T> {
  readonly read: (input: unknown) => T | undefined
  /** Completes `must be …`. */
  readonly wanted: string
  /** Keys inside the value that are not known, as paths relative to it. */
  readonly unknownKeys?: (input: unknown) => readonly string[]
}

export const text: Leaf<string> = {
  read: (input) => (typeof input === 'string' ? input : undefined),
  wanted: 'a string',
}

export const boolean: Leaf<boolean> = {
  read: (input) => (typeof input === 'boolean' ? input : undefined),
  wanted: 'true or false',
}

const integer = (min: number, max: number, wanted: string): Leaf<number> => ({
  read: (input) =>
    typeof input === 'number' && Number.isInteger(input) && input >= min && input <= max ? input : undefined,
  wanted,
})

export const int32 = integer(-(2 ** 31), 2 ** 31 - 1, 'a 32-bit integer')
export const uint32 = integer(0, 2 ** 32 - 1, 'an unsigned 32-bit integer')

export const number: Leaf<number> = {
  read: (input) => (typeof input === 'number' && Number.isFinite(Math.fround(input)) ? input : undefined),
  wanted: 'a number',
}

export const duration: Leaf<GoDuration> = {
  read: (input) => (typeof input === 'string' ? parseGoDuration(input) : undefined),
  wanted: 'a duration such as 30s or 1h30m',
}

/** TimeOrMetaDuration of component-base: a bare number means nanoseconds. */
export const flushFrequency: Leaf<GoDuration> = {
  read: (input) =>
    typeof input === 'number' && Number.isInteger(input) ? nanoseconds(BigInt(input)) : duration.read(input),
  wanted: 'a duration such as 5s, or nanoseconds',
}

export const strings: Leaf<readonly string[]> = {
  read: (input) => {
    if (!Array.isArray(input)) return undefined
    const items: readonly unknown[] = input
    return items.every((item) => typeof item === 'string') ? items : undefined
  },
  wanted: 'a list of strings',
}

export const quantity: Leaf<string> = {
  read: (input) => {
    const written = typeof input === 'number' ? String(input) : input
    return typeof written === 'string' && isQuantity(written) ? written : undefined
  },
  wanted: 'a size such as 512, 1K or 2Mi',
}

/** A YAML mapping as opposed to a scalar or a list. */
export const isMapping = (input: unknown): input is Readonly<Record<string, unknown>> =>
  typeof input === 'object' && input !== null && !Array.isArray(input)

export const gates: Leaf<FeatureGates> = {
  read: (input) => {
    if (!isMapping(input)) return undefined
    const values: [string, boolean][] = []
    for (const [name, value] of Object.entries(input)) {
      if (typeof value !== 'boolean') return undefined
      values.push([name, value])
    }
    return Object.fromEntries(values)
  },
  wanted: 'a map of gate names to true or false',
}

const moduleKeys: ReadonlySet<string> = new Set(['filePattern', 'verbosity'])

const readModule = (input: unknown): VModule | undefined => {
  if (!isMapping(input)) return undefined
  const { filePattern: pattern, verbosity: level } = input
  const filePattern = text.read(pattern ?? '')
  const verbosity = uint32.read(level ?? 0)
  return filePattern === undefined || verbosity === undefined ? undefined : { filePattern, verbosity }
}

export const vmodules: Leaf<readonly VModule[]> = {
  read: (input) => {
    if (!Array.isArray(input)) return undefined
    const modules: VModule[] = []
    for (const item of input) {
      const module = readModule(item)
      if (module === undefined) return undefined
      modules.push(module)
    }
    return modules
  },
  wanted: 'a list of filePattern and verbosity',
  unknownKeys: (input) =>
    Array.isArray(input)
      ? input.flatMap((item: unknown, index) =>
          isMapping(item)
            ? Object.keys(item)
                .filter((key) => !moduleKeys.has(key))
                .map((key) => `[${index}].${key}`)
            : [],
        )
      : [],
}
