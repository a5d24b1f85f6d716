/** The guest that other tests run programs in: what comes out of it, and that nothing stays. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { describeOutcome, runCommandInGuest, runInGuest } from '../support/uml.ts'
import { missingGuestMeans } from '../support/uml-means.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const script = new URL('../uml/echo.js', import.meta.url)

/** Processes of our namespace, which are those that we started. */
const guests = (): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
      } catch {
        return ''
      }
    })
    .filter((name) => name.startsWith('linux'))

/** A killed process takes a moment to go. */
const allGone = async (): Promise<boolean> => {
  for (let i = 0; i < 50 && guests().length > 0; i++) await sleep(100)
  return guests().length === 0
}

const missing = await missingGuestMeans(signal)
if (missing.length > 0) t.plan(0, `this machine lacks ${missing.join(', ')}`)
else {
  t.test('what a program gets and says', async (t) => {
    const args = ['two words', "it's", '$HOME', '']
    const before = readdirSync('/run')
    const outcome = await runInGuest({ script, args }, signal)
    t.match(outcome, { kind: 'exited', status: 3 }, 'its status', { guest: describeOutcome(outcome) })
    const [first = '', ...rest] = outcome.output.split('\n')
    const seen: unknown = JSON.parse(first)
    t.match(seen, { args, user: 0, release: /^\d+\.\d+/, root: 'EROFS', tmp: 'written' })
    t.same(rest, [...Array.from({ length: 5000 }, (_, i) => `line ${i}`), 'no end of line'])
    t.match(outcome.console, 'said to standard error')
    t.same(readdirSync('/run'), before, 'what the guest needed is gone')
  })

  t.test('several at once, and one that hangs', async (t) => {
    const [one, two, hangs] = await Promise.all([
      runCommandInGuest('echo one; ip link add sink type dummy; ls /sys/class/net', {}, signal),
      runCommandInGuest('echo two; ls /sys/class/net; false', {}, signal),
      runCommandInGuest('echo begun; exec sleep 600', { timeoutMs: 10_000, mem: 128 }, signal),
    ])
    t.match(one, { kind: 'exited', status: 0, output: 'one\nlo\nsink\n' }, 'the first', { guest: describeOutcome(one) })
    t.match(two, { kind: 'exited', status: 1, output: 'two\nlo\n' }, 'the second', { guest: describeOutcome(two) })
    t.match(hangs, { kind: 'timedOut', output: 'begun\n' }, 'the third', { guest: describeOutcome(hangs) })
    t.ok(await allGone(), 'no process is left')
  })

  t.test('a guest that breaks, and one that is called off', async (t) => {
    const broken = await runCommandInGuest('echo c >/proc/sysrq-trigger', {}, signal)
    t.match(broken, { kind: 'broke', console: /panic/i }, 'what the kernel said', { guest: describeOutcome(broken) })
    const running = runCommandInGuest('exec sleep 600', {}, AbortSignal.timeout(3_000))
    await sleep(2_000)
    t.not(guests().length, 0)
    await t.rejects(running, { name: 'TimeoutError' })
    t.ok(await allGone(), 'no process is left')
  })
}
