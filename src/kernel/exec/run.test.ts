import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { run } from './run.ts'

const never = new AbortController().signal
const isRunning = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('run', () => {
  it('returns status and both streams', async () => {
    const result = await run(['sh', '-c', 'echo out; echo err >&2; exit 3'], { signal: never })
    expect(result).toEqual({ status: 3, stdout: 'out\n', stderr: 'err\n' })
  })

  it('passes arguments without a shell', async () => {
    const { stdout } = await run(['printf', '%s|', '$HOME; echo', 'a b', '"'], { signal: never })
    expect(stdout).toBe('$HOME; echo|a b|"|')
  })

  it('adds to the environment', async () => {
    const { stdout } = await run(['env'], { signal: never, env: { WEIR_X: 'given', LC_ALL: 'de_DE.UTF-8' } })
    const lines = stdout.split('\n')
    const { PATH } = process.env
    for (const line of ['WEIR_X=given', 'LC_ALL=C', `PATH=${PATH}`]) expect(lines).toContain(line)
  })

  it('gives the input and closes it', async () => {
    const input = 'x'.repeat(1 << 20)
    const { stdout } = await run(['wc', '-c'], { signal: never, input })
    expect(stdout.trim()).toBe(String(1 << 20))
  })

  it('closes standard input when there is nothing to give', async () => {
    expect((await run(['cat'], { signal: never, timeoutMs: 5_000 })).stdout).toBe('')
  })

  it('does not mind a program that leaves its input unread', async () => {
    expect((await run(['true'], { signal: never, input: 'x'.repeat(1 << 22) })).status).toBe(0)
  })

  it('tells the process id at the start', async () => {
    const pids: number[] = []
    const { stdout } = await run(['sh', '-c', 'echo $$'], { signal: never, onStart: (pid) => pids.push(pid) })
    expect(pids).toEqual([Number(stdout)])
    const failed = run(['no-such-program-here'], { signal: never, onStart: (pid) => pids.push(pid) })
    await expect(failed).rejects.toMatchObject({ code: 'missing' })
    expect(pids).toHaveLength(1)
  })

  it('says when the program does not exist', async () => {
    await expect(run(['no-such-program-here'], { signal: never })).rejects.toMatchObject({
      code: 'missing',
      op: 'no-such-program-here',
    })
  })

  it('says when the program cannot be started', async () => {
    await expect(run(['/etc/passwd'], { signal: never })).rejects.toMatchObject({ code: 'io' })
    await expect(run([], { signal: never })).rejects.toMatchObject({ code: 'io' })
  })

  it('kills at the time limit, descendants too', async () => {
    const started = Date.now()
    const script = 'sleep 60 & echo $! >&2; wait'
    await expect(run(['sh', '-c', script], { signal: never, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'timeout',
    })
    expect(Date.now() - started).toBeLessThan(5_000)
  })

  it('kills on abort, descendants too', async () => {
    const file = `/proc/${process.pid}/task/${process.pid}/children`
    const before = readFileSync(file, 'utf8').trim().split(/\s+/)
    const controller = new AbortController()
    const result = run(['sh', '-c', 'sleep 61 & wait'], { signal: controller.signal })
    await sleep(200)
    const child = readFileSync(file, 'utf8')
      .trim()
      .split(/\s+/)
      .find((pid) => !before.includes(pid))
    const grandchild = readFileSync(`/proc/${child}/task/${child}/children`, 'utf8').trim()
    expect(isRunning(Number(grandchild))).toBe(true)
    controller.abort(new Error('enough'))
    await expect(result).rejects.toMatchObject({ code: 'aborted', cause: new Error('enough') })
    await sleep(50)
    expect(isRunning(Number(grandchild))).toBe(false)
  })

  it('starts nothing once aborted', async () => {
    await expect(run(['true'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  })

  it('reports a signal from elsewhere', async () => {
    await expect(run(['sh', '-c', 'kill -TERM $$'], { signal: never })).rejects.toMatchObject({ code: 'signal' })
  })

  it('bounds the output', async () => {
    await expect(run(['yes'], { signal: never, maxOutput: 1000 })).rejects.toMatchObject({ code: 'io' })
    const exact = await run(['printf', 'x'.repeat(100)], { signal: never, maxOutput: 100 })
    expect(exact.stdout.length).toBe(100)
  })
})
