import { type Delays, movedInAll, rejected, type SchedulerResult } from './result.ts'
import { type Scenario, schedulerLabel } from './scenario.ts'

/** One chart of the page. `config` is data for `new Chart(canvas, config)` of Chart.js 4. */
export interface Chart {
  readonly id: string
  readonly title: string
  /** What to look for. */
  readonly caption: string
  readonly config: ChartConfig
}

interface ChartConfig {
  readonly type: 'bar' | 'line'
  readonly data: {
    readonly labels: readonly string[]
    readonly datasets: readonly Dataset[]
  }
  readonly options: object
}

interface Dataset {
  readonly label: string
  readonly data: readonly (number | null | { readonly x: number; readonly y: number })[]
  readonly backgroundColor?: string
  readonly borderColor?: string
  readonly [option: string]: unknown
}

/** Told apart by colour-blind readers too (Okabe and Ito), then again, paler. */
const palette = ['#0072b2', '#e69f00', '#009e73', '#d55e00', '#cc79a7', '#56b4e9', '#999999', '#b8a800']

const colour = (index: number): string => {
  const base = palette[index % palette.length] ?? '#000000'
  return index < palette.length ? base : `${base}${index < 2 * palette.length ? '99' : '55'}`
}

const axis = (text: string, more: object = {}): object => ({ title: { display: true, text }, ...more })
const base = { animation: false, maintainAspectRatio: false, responsive: true } as const

/** Charts that compare all schedulers. */
export const overviewCharts = (results: readonly SchedulerResult[]): readonly Chart[] => [
  ...(results.some(({ queueing }) => queueing.max > 0)
    ? [
        delays(
          'delay',
          'Queueing delay',
          'How long connections wait until service begins.',
          results,
          (one) => one.queueing,
        ),
      ]
    : []),
  delays('response', 'Response time', 'From the arrival until service ends.', results, (one) => one.response),
  bars(
    'imbalance',
    'Imbalance',
    '1 is even: the server with the most, over the mean, each by its weight.',
    results,
    'max / mean',
    [
      ['connections', ({ imbalance }) => imbalance.connections.maxOverMean ?? null],
      ['load over time', ({ imbalance }) => imbalance.load.maxOverMean ?? null],
    ],
  ),
  bars(
    'losses',
    'Rejected and moved',
    'Connections without an answer; and clients that a change sent elsewhere although their server still lived.',
    results,
    '%',
    [
      ['rejected', ({ connections }) => (100 * rejected(connections)) / connections.total],
      ['moved', movedPercent],
    ],
  ),
]

/** What happened to each server under one scheduler. */
export const schedulerCharts = (scenario: Scenario, result: SchedulerResult, index: number): readonly Chart[] => [
  shareChart(result, index),
  ...(result.loadOverTime.perServer.length === 0 ? [] : [loadChart(scenario, result, index)]),
]

const delays = (
  id: string,
  title: string,
  caption: string,
  results: readonly SchedulerResult[],
  of: (result: SchedulerResult) => Delays,
): Chart =>
  bars(
    id,
    title,
    `${caption} The scale is logarithmic.`,
    results,
    'seconds',
    [
      ['p50', (result) => positive(of(result).p50)],
      ['p99', (result) => positive(of(result).p99)],
      ['p99.9', (result) => positive(of(result).p999)],
    ],
    'logarithmic',
  )

type Series = readonly [label: string, value: (result: SchedulerResult) => number | null]

const bars = (
  id: string,
  title: string,
  caption: string,
  results: readonly SchedulerResult[],
  unit: string,
  series: readonly Series[],
  type: 'linear' | 'logarithmic' = 'linear',
): Chart => ({
  id,
  title,
  caption,
  config: {
    type: 'bar',
    data: {
      labels: results.map(labelOf),
      datasets: series.map(([label, value], i) => ({
        label,
        data: results.map((result) => digits(value(result))),
        backgroundColor: colour(i),
      })),
    },
    options: { ...base, scales: { y: axis(unit, { type, ...(type === 'linear' ? { beginAtZero: true } : {}) }) } },
  },
})

const shareChart = (result: SchedulerResult, index: number): Chart => ({
  id: `share-${index}`,
  title: 'Connections',
  caption: 'What each server got, and what the weights promise.',
  config: {
    type: 'bar',
    data: {
      labels: result.servers.map(({ name }) => name),
      datasets: [
        {
          label: 'connections',
          data: result.servers.map(({ connections }) => connections),
          backgroundColor: colour(0),
        },
        { label: 'by weight', data: result.servers.map(({ fair }) => digits(fair)), backgroundColor: colour(6) },
      ],
    },
    options: { ...base, scales: { y: axis('connections', { beginAtZero: true }) } },
  },
})

const loadChart = (
  { events }: Scenario,
  { servers, loadOverTime, changes }: SchedulerResult,
  index: number,
): Chart => ({
  id: `load-${index}`,
  title: 'Load over time',
  caption: [
    'Connections at each server, waiting ones included.',
    ...(events.length > 0 ? ['Triangles are changes.'] : []),
  ].join(' '),
  config: {
    type: 'line',
    data: {
      labels: [],
      datasets: [
        ...loadOverTime.perServer.map((loads, i) => ({
          label: servers[i]?.name ?? '',
          data: loads.map((y, at) => ({ x: digits((at + 1) * loadOverTime.interval) ?? 0, y })),
          borderColor: colour(i),
          backgroundColor: colour(i),
          borderWidth: 1.5,
          pointRadius: 0,
        })),
        ...changes.map(({ event, at }) => ({
          label: event,
          data: [{ x: digits(at) ?? 0, y: 0 }],
          borderColor: '#d00000',
          backgroundColor: '#d00000',
          pointStyle: 'triangle',
          pointRadius: 6,
        })),
      ],
    },
    options: {
      ...base,
      interaction: { mode: 'nearest', axis: 'x', intersect: false },
      scales: { x: axis('seconds', { type: 'linear' }), y: axis('connections', { beginAtZero: true }) },
    },
  },
})

const labelOf = ({ scheduler, flags }: SchedulerResult): string => schedulerLabel({ name: scheduler, flags })

/** A logarithmic scale has no 0. */
const positive = (value: number): number | null => (value > 0 ? value : null)

const movedPercent = (result: SchedulerResult): number | null => {
  const { returning, moved } = movedInAll(result)
  return returning === 0 ? null : (100 * moved) / returning
}

const digits = <T extends number | null>(value: T): T | number =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value
