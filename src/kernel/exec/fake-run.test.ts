import { describe, expect, it } from 'vitest'
import { fakeRun } from './fake-run.ts'
import { run as realRun } from './run.ts'

const signal = new AbortController().signal

describe('fakeRun', () => {
  const { run, calls } = fakeRun({
    printf: ([text = '']) => text,
    cat: (_args, input) => input,
    false: () => ({ status: 1, stdout: '', stderr: '' }),
  })

  it.each([{ command: ['printf', 'text'] }, { command: ['cat'], input: 'given' }, { command: ['false'] }])(
    'answers $command as the real one does',
    async ({ command, input }) => {
      const options = input === undefined ? { signal } : { signal, input }
      expect(await run(command, options)).toEqual(await realRun(command, options))
    },
  )

  it('fails as the real one does', async () => {
    await expect(run(['no-such-program-here'], { signal })).rejects.toMatchObject({ code: 'missing' })
    await expect(run(['cat'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
    expect(calls.at(-1)).toEqual(['no-such-program-here'])
  })
})
