import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { serversOf } from '../../test/support/lvs.ts'
import { activate, closeConnection, deactivate, openConnection, setThresholds } from './connections.ts'
import { SchedulerError } from './scheduler-error.ts'
import { createServer, type Server } from './server.ts'

const { overloadVectors } = z
  .object({
    overloadVectors: z.array(
      z.object({
        id: z.string(),
        upper: z.number(),
        lower: z.number(),
        totals: z.array(z.number()),
        overloaded: z.array(z.number()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../../test/golden/lvs/schedulers.json', import.meta.url), 'utf8')))

const one = (): Server => {
  const [server] = serversOf([1])
  if (server === undefined) throw new Error('no server')
  return server
}
const openTo = (server: Server, total: number): void => {
  while (server.active + server.inactive < total)
    openConnection(server, server.active % 2 === 0 ? 'active' : 'inactive')
  while (server.active + server.inactive > total) closeConnection(server, server.active > 0 ? 'active' : 'inactive')
}
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run()
  } catch (error) {
    if (error instanceof SchedulerError) return error.code
    throw error
  }
  return undefined
}

describe('the overload flag', () => {
  it.each(overloadVectors)('$id', ({ upper, lower, totals, overloaded }) => {
    const server = one()
    setThresholds(server, upper, lower)
    const seen = totals.map((total) => {
      openTo(server, total)
      return server.overloaded ? 1 : 0
    })
    expect(seen).toEqual(overloaded)
  })

  it('follows a change of the thresholds at once, and stays as it was between them', () => {
    const server = one()
    openTo(server, 6)
    setThresholds(server, 6, 4)
    expect(server.overloaded).toBe(true)
    setThresholds(server, 8, 4)
    expect(server.overloaded).toBe(true)
    setThresholds(server, 8, 7)
    expect(server.overloaded).toBe(false)
    setThresholds(server, 7, 6)
    expect(server.overloaded).toBe(false)
    setThresholds(server, 6, 6)
    expect(server.overloaded).toBe(true)
    setThresholds(server, 0)
    expect(server.overloaded).toBe(false)
  })

  it('does not move when a connection changes from active to inactive and back', () => {
    const server = one()
    setThresholds(server, 2)
    openConnection(server, 'active')
    openConnection(server, 'active')
    deactivate(server)
    expect(server).toMatchObject({ active: 1, inactive: 1, overloaded: true })
    activate(server)
    expect(server).toMatchObject({ active: 2, inactive: 0, overloaded: true })
  })

  it('is left alone on a server without thresholds', () => {
    const server = { ...one(), overloaded: true }
    openConnection(server, 'inactive')
    closeConnection(server, 'inactive')
    expect(server.overloaded).toBe(true)
  })
})

describe('what the kernel refuses', () => {
  it.each([
    [3, 4],
    [0, 1],
    [-1, 0],
    [1.5, 0],
    [2 ** 31, 0],
  ])('thresholds %d and %d', (upper, lower) =>
    expect(codeOf(() => setThresholds(one(), upper, lower))).toBe('out-of-range'),
  )

  it.each([-1, 0.5, 2 ** 31, Number.NaN])('weight %d', (weight) => {
    const { ip, port } = one()
    expect(codeOf(() => createServer({ ip, port, weight }))).toBe('out-of-range')
  })

  it('takes weights beyond 16 bits', () => {
    const { ip, port } = one()
    expect(createServer({ ip, port, weight: 2 ** 31 - 1 }).weight).toBe(2147483647)
  })
})
