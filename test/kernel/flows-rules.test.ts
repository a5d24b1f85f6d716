/** Every rule of docs/service-semantics.md is cited by a packet, or says here why no packet can show it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const rulePattern = /\bS\d+\.\d+\b/g

const withoutPackets: Readonly<Record<string, string>> = {
  'S3.5': 'the order of lists shows in no single packet; wrr takes its turns by it',
  'S12.1': 'health check ports are not forwarded, they are answered: tests of observe/',
  'S12.3': 'the same',
}

const texts = ['test/flows', 'test/compliance', 'test/kernel'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.ts') && (folder !== 'test/kernel' || file.startsWith('flows-')))
    .filter((file) => file !== 'flows-rules.test.ts')
    .map((file) => readFileSync(join(root, folder, file), 'utf8')),
)
/** A list of rules in a table, or the beginning of a test's name: what a reader of the results sees. */
const cited = new Set(
  texts.flatMap((text) => text.match(/['`](?:S\d+\.\d+ ?)+/g) ?? []).flatMap((line) => line.match(rulePattern) ?? []),
)
const rules = new Set(
  readFileSync(join(root, 'docs/service-semantics.md'), 'utf8')
    .match(/\*\*S\d+\.\d+\*\*/g)
    ?.map((rule) => rule.replaceAll('*', '')),
)

t.test('the document was read', async (t) => {
  t.ok(rules.size > 60, `${rules.size} rules`)
})

t.test('every rule has packets, or a reason', async (t) => {
  for (const rule of rules) t.ok(cited.has(rule) || withoutPackets[rule] !== undefined, rule)
})

t.test('no case cites a rule that is not there, no reason is needless', async (t) => {
  for (const rule of [...cited, ...Object.keys(withoutPackets)]) t.ok(rules.has(rule), rule)
  for (const rule of Object.keys(withoutPackets)) t.notOk(cited.has(rule), rule)
})
