import { type FlagGroup, type FlagSpec, flags } from './flags.ts'
import { fieldsNotActedOn } from './support.ts'

const groups = [
  'weir',
  'General',
  'Kubernetes API',
  'Node and addresses',
  'Proxy mode',
  'Local traffic',
  'Logging',
  'Conntrack',
  'IPVS',
  'Windows',
] as const satisfies readonly FlagGroup[]

const usage = `weir: a layer-4 service proxy for Kubernetes nodes, in kube-proxy's place

Usage:
  weir [run] [flags]      serve the node
  weir render [flags]     print what would be programmed, and change nothing
  weir status [flags]     print what the running process serves, and its connections
  weir cleanup [flags]    remove what weir and kube-proxy programmed
  weir simulate SCENARIO  compare the schedulers of LVS on a scenario; weir simulate --help has its flags
  weir version            print the version

Every flag may be written with _ instead of -.`

/** What `--help` prints: every flag with its type, effect and default, by group, without a final newline. */
export const helpText = (): string => {
  const all: readonly FlagSpec[] = flags
  const sections = groups.map((group) => {
    const rows = all.filter((flag) => flag.group === group).map(row)
    return `${group}:\n${rows.join('\n')}`
  })
  return `${usage}\n\n${sections.join('\n\n')}\n\nOther:\n  -h, --help\n      Print this and exit.`
}

const row = (flag: FlagSpec): string => {
  const name = flag.shorthand === undefined ? `--${flag.name}` : `-${flag.shorthand}, --${flag.name}`
  const type = flag.kind === 'bool' || flag.kind === 'version' ? '' : ` ${flag.kind}`
  const byDefault = flag.default === '' || flag.default === 'false' ? '' : ` (default ${flag.default})`
  const later = flag.field !== undefined && fieldsNotActedOn.includes(flag.field) ? ' No effect yet.' : ''
  return `  ${name}${type}\n      ${flag.help}${later}${byDefault}`
}
