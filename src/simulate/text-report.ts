import { formatDuration } from './duration.ts'
import { notesOn } from './json-report.ts'
import { movedInAll, rejected, type SchedulerResult, type ServerResult } from './result.ts'
import { type Scenario, schedulerLabel } from './scenario.ts'
import { bar, type Column, painter, type TextStyle, tableLines } from './text-style.ts'

/** Servers beyond these are only counted. */
const mostRows = 32

/** The results for a reader at a terminal: an overview, then the servers under each scheduler, with bars. */
export const textReport = (scenario: Scenario, results: readonly SchedulerResult[], style: TextStyle): string => {
  const paint = painter(style)
  const lines: string[] = []
  if (scenario.title !== '') lines.push(paint(scenario.title, 'bold'))
  lines.push(
    ...wrapped(subtitle(scenario, results), style.width).map((line) => paint(line, 'dim')),
    '',
    ...overview(results, style),
  )
  for (const result of results) lines.push('', ...section(result, style))
  for (const note of notesOn(scenario, results))
    lines.push('', ...wrapped(`Note: ${note}`, style.width).map((line) => paint(line, 'warn')))
  return `${lines.join('\n')}\n`
}

const subtitle = (
  { connections, clients, servers, seed, protocol }: Scenario,
  [result]: readonly SchedulerResult[],
): string =>
  [
    `${whole(connections)} connections (${protocol})`,
    `${whole(clients.number)} clients`,
    `${whole(servers.length)} servers`,
    formatDuration(result?.duration ?? 0),
    `seed ${seed}`,
  ].join(', ')

const overviewColumns: readonly Column<SchedulerResult>[] = [
  { head: 'scheduler', left: true, cell: ({ scheduler, flags }) => schedulerLabel({ name: scheduler, flags }) },
  { head: 'max/mean', cell: ({ imbalance }) => ratio(imbalance.connections.maxOverMean) },
  { head: 'cv', cell: ({ imbalance }) => ratio(imbalance.connections.cv), spare: 2 },
  { head: 'load m/m', cell: ({ imbalance }) => ratio(imbalance.load.maxOverMean), spare: 4 },
  { head: 'delay', cell: ({ queueing }) => formatDuration(queueing.mean) },
  { head: 'p50', cell: ({ queueing }) => formatDuration(queueing.p50), spare: 3 },
  { head: 'p99', cell: ({ queueing }) => formatDuration(queueing.p99) },
  { head: 'rejected', cell: ({ connections }) => percent(rejected(connections), connections.total) },
  { head: 'moved', cell: (result) => movedShare(result), spare: 1 },
]

const overview = (results: readonly SchedulerResult[], style: TextStyle): readonly string[] => {
  const [head = '', ...rows] = tableLines(overviewColumns, results, style.width)
  const paint = painter(style)
  return [paint(head, 'bold'), ...rows, '', ...wrapped(legend, style.width).map((line) => paint(line, 'dim'))]
}

const legend =
  'max/mean, cv: connections by weight, 1 and 0 are even. load m/m: max/mean of loads by weight, at every moment. ' +
  'delay, p50, p99: until service begins. moved: clients that a change sent elsewhere although their server still lived.'

const wrapped = (text: string, width: number): readonly string[] => {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const serverColumns = (servers: readonly ServerResult[], total: number): readonly Column<ServerResult>[] => [
  { head: 'server', left: true, cell: ({ name }) => name },
  { head: 'weight', cell: ({ weight }) => String(weight), spare: 2 },
  { head: 'connections', cell: ({ connections }) => whole(connections) },
  { head: 'share', cell: ({ connections }) => percent(connections, total) },
  { head: 'load', cell: ({ meanLoad }) => figure(meanLoad), spare: 3 },
  { head: 'p99', cell: ({ p99Load }) => whole(p99Load), spare: 1 },
  { head: 'peak', cell: ({ peakLoad }) => whole(peakLoad) },
  ...(servers.every(({ utilisation }) => utilisation === undefined) ? [] : [busyColumn]),
]

const busyColumn: Column<ServerResult> = {
  head: 'busy',
  cell: ({ utilisation }) => (utilisation === undefined ? '' : percent(utilisation, 1)),
  spare: 4,
}

/** Below it a bar says nothing. */
const leastBar = 6
const mostBar = 40
const indent = '  '

const section = (result: SchedulerResult, style: TextStyle): readonly string[] => {
  const paint = painter(style)
  const total = result.servers.reduce((sum, { connections }) => sum + connections, 0)
  const most = Math.max(1, ...result.servers.map(({ connections }) => connections))
  const shown = result.servers.slice(0, mostRows)
  const room = style.width - indent.length
  const [head = '', ...rows] = tableLines(serverColumns(shown, total), shown, room - leastBar - 2)
  const widest = Math.max(head.length, ...rows.map((row) => row.length))
  const barWidth = Math.min(mostBar, room - widest - 2)
  const drawn = rows.map((row, i) => {
    if (barWidth < leastBar) return `${indent}${row}`
    const text = bar((shown[i]?.connections ?? 0) / most, barWidth, style).trimEnd()
    return `${indent}${row.padEnd(widest)}  ${paint(text, 'bar')}`.trimEnd()
  })
  const rest = result.servers.length - shown.length
  return [
    paint(schedulerLabel({ name: result.scheduler, flags: result.flags }), 'bold'),
    ...facts(result)
      .flatMap((fact) => wrapped(fact, room))
      .map((line) => `${indent}${paint(line, 'dim')}`),
    paint(`${indent}${head}`, 'dim'),
    ...drawn,
    ...(rest > 0 ? [`${indent}and ${whole(rest)} more; --json has them all`] : []),
  ]
}

/** What is not zero of who was rejected and who moved. */
const facts = ({ connections, changes }: SchedulerResult): readonly string[] => {
  const losses = [
    [connections.unscheduled, 'found no server'],
    [connections.refused, 'met a full queue'],
    [connections.failed, 'met a dead server'],
    [connections.cut, 'were cut'],
  ] as const
  const said = losses.filter(([count]) => count > 0).map(([count, what]) => `${whole(count)} ${what}`)
  return [
    ...(said.length === 0 ? [] : [said.join(', ')]),
    ...changes.map(
      ({ event, at, returning, moved }) =>
        `${formatDuration(at)}, ${event}: ${whole(moved)} of ${whole(returning)} clients moved`,
    ),
  ]
}

const movedShare = (result: SchedulerResult): string => {
  const { returning, moved } = movedInAll(result)
  return returning === 0 ? '-' : percent(moved, returning)
}

const whole = (value: number): string => value.toLocaleString('en-US')
const ratio = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(2))
const percent = (part: number, all: number): string => (all === 0 ? '-' : `${((100 * part) / all).toFixed(1)} %`)
const figure = (value: number): string => (value >= 100 ? whole(Math.round(value)) : value.toPrecision(3))
