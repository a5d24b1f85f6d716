/** Tables of IPVS side by side: as our client or the fake lists them, and as ipvsadm prints them. */
import { execFileSync } from 'node:child_process'
import type { Ipvs, IpvsCounters, ObservedRealServer, VirtualServer } from '../../src/kernel/ipvs/ipvs.ts'
import { realServerLine, virtualServerLine, virtualServerName } from '../../src/kernel/ipvs/names.ts'

const { signal } = new AbortController()

/** A line of sh(1), and what it prints. */
export const sh = (line: string, input = ''): string => execFileSync('sh', ['-c', line], { input, encoding: 'utf8' })
export const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')

const withoutCounters = <Server extends { readonly counters: IpvsCounters }>({ counters: _, ...rest }: Server) => rest

interface Listed {
  readonly server: VirtualServer
  readonly realServers: readonly Omit<ObservedRealServer, 'counters'>[]
}

export const list = async (table: Ipvs): Promise<readonly Listed[]> => {
  const listed: Listed[] = []
  for (const server of await table.virtualServers(signal)) {
    const realServers = await table.realServers(server.id, signal)
    listed.push({ server: withoutCounters(server), realServers: realServers.map(withoutCounters) })
  }
  const name = ({ server }: Listed): string => virtualServerName(server.id)
  return listed.sort((a, b) => (name(a) < name(b) ? -1 : 1))
}

/** Their lines, virtual servers sorted, real servers behind theirs. */
export const text = (listed: readonly Listed[]): readonly string[] => listed.flatMap(linesOf)

const linesOf = ({ server, realServers }: Listed): readonly string[] => [
  virtualServerLine(server),
  ...realServers.map((real) => realServerLine(server.id, real)),
]

/** `ipvsadm -Sn` with marks as what they are, and a word for what it has none for. It leaves thresholds out. */
export const saved = (): readonly string[] =>
  lines(sh('ipvsadm -Sn'))
    .map((line) => line.replace(/-f (-\d+)/, (_, mark) => `-f ${Number(mark) >>> 0}`).replace('(null)', '-g'))
    .sort()

export const asSaved = (listed: readonly Listed[]): readonly string[] =>
  text(listed)
    .map((line) => line.replace(/ -x .*| -y .*/, ''))
    .sort()
