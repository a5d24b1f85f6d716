/** Inside namespaces of its own: runs the sections that were asked for, prints the report and writes it as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { iptablesDispatchSection } from './iptables-dispatch/section.ts'
import { load, machine, quiet } from './machine.ts'
import { type Options, parseOptions, type SectionName } from './options.ts'
import { Report } from './report.ts'
import { cliSection } from './sections/cli.ts'
import { connectSection } from './sections/connect.ts'
import { conntrackSection } from './sections/conntrack.ts'
import { iptablesConnectSection, iptablesSection } from './sections/iptables.ts'
import { ipvsSection } from './sections/ipvs.ts'
import { kubeProxySection } from './sections/kube-proxy.ts'
import type { Bench } from './sections/section.ts'
import { syncSection } from './sections/sync.ts'

const print = (text: string): void => void process.stdout.write(text)

/** In a fixed order: what the section before leaves behind is no burden to the next. */
const runSections = async (bench: Bench): Promise<void> => {
  const wanted = (name: SectionName): boolean => bench.options.sections.includes(name)
  if (wanted('sync')) await syncSection(bench)
  if (wanted('cli')) await cliSection(bench)
  const kubeProxy = wanted('kube-proxy') ? await kubeProxySection(bench) : undefined
  if (wanted('connect')) await connectSection(bench, kubeProxy)
  if (wanted('conntrack')) await conntrackSection(bench)
  if (wanted('iptables')) await iptablesSection(bench)
  if (wanted('iptables-connect')) await iptablesConnectSection(bench)
  if (wanted('ipvs')) await ipvsSection(bench)
  if (wanted('iptables-dispatch')) await iptablesDispatchSection(bench)
}

const run = async (options: Options): Promise<void> => {
  const startedAt = new Date()
  const report = new Report(print)
  const facts = machine()
  print(
    `${Object.entries(facts)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}; seed ${options.seed}\n`,
  )
  let noisy = false
  const begin = async (group: string): Promise<void> => {
    // A shared machine: figures are worth waiting a little for, but not for ever.
    if (!(await quiet(options.quick ? 1_000 : 10_000))) noisy = true
    report.begin(group, load())
  }
  await runSections({ options, report, begin })
  print(`${report.targets()}\n`)
  print(report.omissions())
  if (noisy) print('Others used the processors during this run: expect figures above those of a quiet machine.\n')
  const seconds = (Date.now() - startedAt.getTime()) / 1000
  const results = {
    startedAt: startedAt.toISOString(),
    seconds,
    machine: facts,
    options,
    noisy,
    measures: report.measures,
    notRun: report.skipped,
  }
  mkdirSync(dirname(options.json), { recursive: true })
  writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
  print(`${seconds.toFixed(0)} s; written to ${options.json}\n`)
}

const options = parseOptions(process.argv.slice(2), 'bench/results/latest.json')
if (options !== 'help') await run(options)
process.exit(0)
