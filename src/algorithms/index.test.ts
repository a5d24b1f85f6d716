import { expect, it } from 'vitest'
import * as library from './index.ts'

it('exports what docs/algorithms.md promises, and nothing by default', () =>
  expect(Object.keys(library).sort()).toEqual([
    'SchedulerError',
    'activate',
    'closeConnection',
    'createScheduler',
    'createServer',
    'deactivate',
    'foldAddress',
    'hash32',
    'isUsable',
    'maglevHash1',
    'maglevHash2',
    'maglevSizes',
    'maglevTable',
    'openConnection',
    'parseIP',
    'parsePort',
    'schedulers',
    'seededRandom',
    'setThresholds',
    'tickSeconds',
    'wrrSequence',
  ]))
