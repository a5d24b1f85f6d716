import { describe, expect, it } from 'vitest'
import { serviceKey, servicePortId, servicePortName } from '../../model/names.ts'
import type { Problem } from '../../model/problem.ts'
import { ProblemReports } from './problem-reports.ts'

const service = serviceKey('ns', 'web')
const id = (port: string) => servicePortId(servicePortName(service, port), 'TCP')
const problem = (reason: string) => ({ field: 'spec', reason })
const port = (name: string, ...reasons: readonly string[]) => ({
  ...{ id: id(name), service },
  problems: reasons.map(problem),
})

const begin = () => {
  const told: Problem[] = []
  const reports = new ProblemReports((each) => told.push(each))
  return {
    reports,
    take: () => told.splice(0).map(({ object, reason }) => `${object.namespace}/${object.name}: ${reason}`),
  }
}

describe('a problem of a Service', () => {
  it('is told once, whatever ports and families have it', () => {
    const { reports, take } = begin()
    reports.update('IPv4', port('a', 'one', 'one'))
    reports.update('IPv4', port('b', 'one'))
    reports.update('IPv6', port('a', 'one', 'two'))
    expect(take()).toEqual(['ns/web: one', 'ns/web: two'])
  })

  it('is told again when it comes back after all had lost it', () => {
    const { reports, take } = begin()
    reports.update('IPv4', port('a', 'one'))
    reports.update('IPv6', port('a', 'one'))
    reports.forget('IPv4', id('a'))
    reports.update('IPv4', port('a', 'one'))
    expect(take()).toEqual(['ns/web: one'])
    reports.update('IPv4', port('a'))
    reports.replace('IPv6', [])
    reports.update('IPv4', port('a', 'one'))
    expect(take()).toEqual(['ns/web: one'])
  })

  it('of a family stays as it is when the other one is looked at', () => {
    const { reports, take } = begin()
    reports.replace('IPv4', [port('a', 'one'), port('b', 'two')])
    reports.replace('IPv6', [port('a', 'one')])
    reports.replace('IPv4', [port('a', 'one')])
    expect(take()).toEqual(['ns/web: one', 'ns/web: two'])
    reports.replace('IPv4', [port('a', 'one'), port('b', 'two')])
    expect(take()).toEqual(['ns/web: two'])
  })
})
