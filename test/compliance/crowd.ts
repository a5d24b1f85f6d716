import type { Protocol } from '../../src/model/protocol.ts'
import type { Net } from '../flows/net.ts'
import type { Front } from '../flows/objects.ts'
import type { Stage } from './stage.ts'

/** Many clients on one host: the answer of each, by the number of its address. `refused` and `timeout` are answers. */
export type Answers = ReadonlyMap<number, string>

export interface CrowdOptions {
  readonly protocol?: Protocol
  /** Numbers of the clients. */
  readonly clients?: readonly number[]
  readonly sourcePort?: number
  readonly timeoutMs?: number
}

/** 40 clients: that they all go the same one of two ways by chance has a probability of 2e-12. */
export const crowd: readonly number[] = Array.from({ length: 40 }, (_, i) => i + 1)

/** One connection of each client of the crowd. */
export const askCrowd = async (
  stage: Stage,
  net: Net,
  front: Front,
  { protocol = 'TCP', clients = crowd, timeoutMs = 10_000, sourcePort }: CrowdOptions = {},
): Promise<Answers> => {
  const host = stage.host('client')
  const answers = await Promise.all(
    clients.map(async (n): Promise<readonly [number, string]> => {
      const outcome = await host.ask({
        protocol,
        address: front.ip,
        port: front.port,
        sourceAddress: net.crowd(n),
        timeoutMs,
        ...(sourcePort === undefined ? {} : { sourcePort }),
      })
      return [n, outcome.kind === 'answered' ? outcome.name : outcome.kind]
    }),
  )
  return new Map(answers)
}

/** Every different answer, sorted. */
export const kinds = (answers: Answers): readonly string[] => [...new Set(answers.values())].sort()

/** Clients whose answers differ. */
export const moved = (before: Answers, after: Answers): readonly number[] =>
  [...before].filter(([n, answer]) => after.get(n) !== answer).map(([n]) => n)

export const clientsOf = (answers: Answers, name: string): readonly number[] =>
  [...answers].filter(([, answer]) => answer === name).map(([n]) => n)
