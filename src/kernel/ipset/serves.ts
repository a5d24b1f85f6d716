import { isOfShape } from './answers.ts'
import type { SetHeader, SetSpec } from './ipset.ts'

/** The options of a set that is made from `spec`, as {@link SetHeader.options}. */
export const optionsOf = ({ marks }: Pick<SetSpec, 'marks'>): readonly string[] => (marks ? ['skbinfo'] : [])

/**
 * Whether a set that is there is as good as one made from `spec`: of the same type, family and options. One with
 * timeouts would forget members, one without marks cannot have them, one with comments is somebody else's. How many
 * members it may have is another question; how large its table is does not matter, because that grows.
 */
export const serves = (header: SetHeader, spec: SetSpec): boolean => {
  const options = optionsOf(spec)
  return (
    isOfShape(header, spec) &&
    header.options.length === options.length &&
    header.options.every((option, i) => option === options[i])
  )
}
