import { assertNever } from '../../model/assert-never.ts'
import type { LocalDetector } from '../../model/host.ts'

/** Arguments of a rule, before `ruleText` quotes them. */
export type Words = readonly string[]

export const commentWords = (comment: string): Words => ['-m', 'comment', '--comment', comment]

/** Matches packets of local pods, or with `not` all others. Undefined when pods cannot be told. */
export const podWords = (detector: LocalDetector, not: '' | '!' = ''): Words | undefined => {
  const sense = not === '' ? [] : [not]
  switch (detector.kind) {
    case 'none':
      return undefined
    case 'cidr':
      return [...sense, '-s', detector.cidr]
    case 'interface':
      return [...sense, '-i', detector.name]
    case 'interfacePrefix':
      return [...sense, '-i', `${detector.prefix}+`]
    default:
      return assertNever(detector, 'detector')
  }
}

/** `0x00004000`, as kube-proxy writes it. */
export const markText = (mark: number): string => `0x${mark.toString(16).padStart(8, '0')}`

/** `dirs`: which address and port of the packet each field of the set's members is compared with. */
export const matchSet = (name: string, dirs: string): Words => ['-m', 'set', '--match-set', name, dirs]

export const stateWords = (states: string): Words => ['-m', 'conntrack', '--ctstate', states]
