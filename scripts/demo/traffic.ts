import type { Host, Target } from '../../test/support/host.ts'
import type { Greeting, Outcome } from '../../test/support/host-protocol.ts'
import type { Pod } from './manifests.ts'
import type { Weir } from './weir.ts'

const startLimitMs = 15_000

/** Waits until a first connection is answered; throws when weir ends before, or takes too long. */
export const firstAnswer = async (client: Host, target: Target, weir: Weir): Promise<void> => {
  const deadline = Date.now() + startLimitMs
  while (Date.now() < deadline) {
    const { kind } = await client.ask({ ...target, timeoutMs: 50 })
    if (kind === 'answered') return
    if (weir.ending !== undefined) throw new Error(`weir ended with ${weir.ending}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`no connection to ${target.address}:${target.port} was answered within ${startLimitMs} ms`)
}

/** `count` connections; throws unless each was answered by one of `pods`, and each of them answered. */
export const connectAll = async (
  client: Host,
  target: Target,
  count: number,
  pods: readonly Pod[],
): Promise<readonly Greeting[]> => {
  const outcomes = await client.connect({ ...target, count, timeoutMs: 10_000 })
  const to = `${target.address}:${target.port}`
  const answers = outcomes.filter((outcome) => outcome.kind === 'answered')
  const failed = countBy(outcomes.filter(({ kind }) => kind !== 'answered').map(describe), (text) => text)
  if (failed.size > 0)
    throw new Error(`of ${count} connections to ${to}: ${[...failed].map(([text, n]) => `${n} ${text}`).join(', ')}`)
  const answered = countBy(answers, ({ name }) => name)
  const expected = new Set(pods.map(({ name }) => name))
  const wrong = [...answered.keys()].filter((name) => !expected.has(name))
  const silent = [...expected].filter((name) => !answered.has(name))
  if (wrong.length > 0) throw new Error(`${to} was answered by ${wrong.join(', ')}, which should get nothing`)
  if (silent.length > 0) throw new Error(`${to} never reached ${silent.join(', ')} in ${count} connections`)
  return answers
}

const describe = (outcome: Outcome): string => (outcome.kind === 'failed' ? outcome.code : outcome.kind)

export const countBy = <T>(items: readonly T[], key: (item: T) => string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}
