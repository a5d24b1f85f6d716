import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../src/kernel/exec/run.ts'

const never = new AbortController().signal

const ip = async (...words: readonly string[]): Promise<void> => {
  const { status, stderr } = await run(['ip', ...words], { signal: never })
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`)
}

export const addNamespace = async (name: string): Promise<void> => {
  await ip('netns', 'add', name)
  await ip('-n', name, 'link', 'set', 'lo', 'up')
}

/** The kernel takes a namespace apart in the background. */
const settleMs = 1_000

/** Once no process is in it: what was in its tables is gone when this resolves. */
export const deleteNamespace = async (name: string): Promise<void> => {
  await ip('netns', 'delete', name)
  await sleep(settleMs)
}
