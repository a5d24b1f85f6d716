import { type Chart, overviewCharts, schedulerCharts } from './charts.ts'
import { notesOn } from './json-report.ts'
import type { SchedulerResult } from './result.ts'
import { type Scenario, schedulerLabel } from './scenario.ts'
import { textReport } from './text-report.ts'

/**
 * One page that needs nothing else: its policy forbids the browser to load anything. `library`: the text of Chart.js, as the
 * script that sets the global `Chart`.
 */
export const htmlReport = (scenario: Scenario, results: readonly SchedulerResult[], library: string): string => {
  const overview = overviewCharts(results)
  const sections = results.map((result, i) => ({ result, charts: schedulerCharts(scenario, result, i) }))
  const charts = [...overview, ...sections.flatMap((section) => section.charts)]
  const title = scenario.title === '' ? 'Simulation' : scenario.title
  const table = textReport(scenario, results, { width: 100, colour: false, blocks: true })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${notesOn(scenario, results)
  .map((note) => `<p class="note">${escaped(note)}</p>\n`)
  .join('')}<div class="charts">
${overview.map(figure).join('\n')}
</div>
${sections.map(({ result, charts: own }) => section(result, own)).join('\n')}
<h2>In figures</h2>
<pre>${escaped(table)}</pre>
<script>${inScript(withoutLinks(library))}</script>
<script>
'use strict'
const dark = matchMedia('(prefers-color-scheme: dark)').matches
Chart.defaults.color = dark ? '#ddd' : '#333'
Chart.defaults.borderColor = dark ? '#444' : '#ddd'
for (const { id, config } of ${inScript(JSON.stringify(charts.map(({ id, config }) => ({ id, config }))), /</g)})
  new Chart(document.getElementById(id), config)
</script>
</body>
</html>
`
}

const section = ({ scheduler, flags }: SchedulerResult, charts: readonly Chart[]): string =>
  `<h2>${escaped(schedulerLabel({ name: scheduler, flags }))}</h2>
<div class="charts">
${charts.map(figure).join('\n')}
</div>`

const figure = ({ id, title, caption }: Chart): string =>
  `<figure><figcaption><b>${escaped(title)}.</b> ${escaped(caption)}</figcaption><div><canvas id="${id}" role="img" aria-label="${escaped(title)}"></canvas></div></figure>`

const style = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem }
figure { margin: 0 } figure div { position: relative; height: 20rem }
pre { overflow-x: auto; font-size: 13px }
.note { border-left: 4px solid #d55e00; padding-left: .7rem }
`

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** A script ends at the first closing tag, whatever the language says. */
const inScript = (text: string, angles = /<(?=\/script|!--)/gi): string => text.replace(angles, '\\x3c')

/** Comments of the library name its home, and a source map; a page without any address is plainly one that loads nothing. */
const withoutLinks = (library: string): string =>
  library.replace(/^\/\/# sourceMappingURL=.*$/gm, '').replace(/https?:\/\//g, '')
