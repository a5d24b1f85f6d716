import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { configChanged } from '../../../src/cli/config-watch.ts'
import type { Clock } from '../../../src/sync/clock.ts'

const folder = mkdtempSync(join(tmpdir(), 'weir-config-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Each sleep runs the next step; the last one ends the wait. */
const watching = async (path: string, steps: readonly (() => void)[]): Promise<'changed' | 'same'> => {
  const stop = new AbortController()
  let next = 0
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: async () => {
      const step = steps[next++]
      if (step === undefined) stop.abort()
      else step()
    },
  }
  await configChanged(path, 'mode: nftables\n', clock, stop.signal)
  return stop.signal.aborted ? 'same' : 'changed'
}

it('sees a file rewritten, replaced, and swapped by the symbolic link of a ConfigMap; not one that is gone or the same', async () => {
  mkdirSync(join(folder, 'one'), { recursive: true })
  mkdirSync(join(folder, 'two'))
  writeFileSync(join(folder, 'one', 'config.yaml'), 'mode: nftables\n')
  writeFileSync(join(folder, 'two', 'config.yaml'), 'mode: iptables\n')
  symlinkSync('one', join(folder, '..data'))
  symlinkSync('..data/config.yaml', join(folder, 'config.yaml'))
  const path = join(folder, 'config.yaml')
  const swap = (to: string) => () => {
    symlinkSync(to, join(folder, '..tmp'))
    renameSync(join(folder, '..tmp'), join(folder, '..data'))
  }
  const same = [
    () => {},
    () => writeFileSync(join(folder, 'one', 'config.yaml'), 'mode: nftables\n'),
    () => rmSync(join(folder, '..data')),
    () => symlinkSync('one', join(folder, '..data')),
  ]
  expect(await watching(path, same)).toBe('same')
  expect(await watching(path, [swap('two')])).toBe('changed')
  expect(await watching(path, [swap('one')])).toBe('same')
  expect(await watching(path, [() => writeFileSync(join(folder, 'one', 'config.yaml'), 'mode: ipvs\n')])).toBe(
    'changed',
  )
})
