/** `node uml-file-program.js FILE LIMIT-MS MARKER`: runs a test file in a guest, with the variable MARKER set (uml-file.ts). */
import { describeOutcome, runInGuest } from './uml.ts'
import { missingGuestMeans } from './uml-means.ts'
import { layTrunk, serveGuest } from './uml-outside.ts'

const [script = '', limit = '', marker = ''] = process.argv.slice(2)
const timeoutMs = Number(limit)
const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())

/** What a test is told by its environment, such as a seed. */
const told = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
  name.startsWith('WEIR_') && value !== undefined ? [[name, value]] : [],
)
// tap's own limit is 30 s unless told.
const env = { ...Object.fromEntries(told), [marker]: '1', TAP_TIMEOUT: String(timeoutMs / 1000) }
const device = await layTrunk()
await serveGuest()
const outcome = await runInGuest({ script, env, timeoutMs, mem: 1024, device }, interrupt.signal)
// What cannot even begin may be for want of something; to ask beforehand would cost another guest.
const missing = outcome.kind === 'broke' && outcome.output === '' ? await missingGuestMeans(interrupt.signal) : []
const passed = outcome.kind === 'exited' && outcome.status === 0
const tap =
  missing.length > 0 ? `TAP version 14\n1..0 # SKIP this machine lacks ${missing.join(', ')}\n` : outcome.output
if (!passed && missing.length === 0) process.stderr.write(`${describeOutcome(outcome)}\n`)
await new Promise((resolve) => process.stdout.write(tap, resolve))
// What the guest started out here and left goes with this process.
process.exit(passed || missing.length > 0 ? 0 : 1)
