import { describe, expect, it } from 'vitest'
import { FakeNft } from './fake.ts'
import { type Pausable, WriteGuard } from './write-guard.ts'

const { signal } = new AbortController()
const big = 1024 * 1024

class Scene {
  readonly kernel = new FakeNft()
  readonly pauses: string[] = []
  readonly guard: WriteGuard
  #tables = 0

  constructor(watched: boolean) {
    const monitor: Pausable = {
      pause: () => void this.pauses.push('pause'),
      resume: () => void this.pauses.push('resume'),
    }
    this.guard = new WriteGuard(this.kernel, watched ? monitor : undefined)
    for (const table of ['IPv4', 'IPv6']) this.guard.compared(table, signal)
  }

  /** A transaction that counts. */
  change = (): Promise<void> => this.kernel.runText(`add table ip t${this.#tables++}\n`, signal)

  write(bytes: number, transaction: () => Promise<void> = this.change): Promise<void> {
    return this.guard.write(bytes, transaction, signal)
  }

  get untouched(): readonly boolean[] {
    return ['IPv4', 'IPv6'].map((table) => this.guard.untouched(table, signal))
  }
}

describe('without a monitor', () => {
  it('our own writes raise no suspicion, nor do those that change nothing or fail', async () => {
    const scene = new Scene(false)
    await scene.write(10)
    await scene.write(big)
    await scene.write(10, async () => {})
    await expect(
      scene.write(10, () => {
        throw new Error('refused')
      }),
    ).rejects.toThrow('refused')
    expect(scene.untouched).toEqual([true, true])
  })

  it('others’ raise it for every table, whenever they come', async () => {
    const idle = new Scene(false)
    await idle.write(10)
    await idle.change()
    expect(idle.untouched).toEqual([false, false])

    const before = new Scene(false)
    await before.change()
    await before.write(10)
    expect(before.untouched).toEqual([false, false])

    const meanwhile = new Scene(false)
    await meanwhile.write(10, async () => {
      await meanwhile.change()
      await meanwhile.change()
    })
    expect(meanwhile.untouched).toEqual([false, false])
  })

  it('a comparison clears its own table alone', async () => {
    const scene = new Scene(false)
    await scene.change()
    scene.guard.compared('IPv4', signal)
    expect(scene.untouched).toEqual([true, false])
    await scene.write(10)
    expect(scene.untouched).toEqual([true, false])
    scene.guard.compared('IPv6', signal)
    expect(scene.untouched).toEqual([true, true])
  })
})

describe('with a monitor', () => {
  it('others are its business', async () => {
    const scene = new Scene(true)
    await scene.change()
    await scene.write(10)
    expect(scene.untouched).toEqual([true, true])
    expect(scene.pauses).toEqual([])
  })

  it('it need not follow a big write, during which the guard itself looks out', async () => {
    const scene = new Scene(true)
    await scene.write(big)
    expect(scene.untouched).toEqual([true, true])
    expect(scene.pauses).toEqual(['pause', 'resume'])
    await scene.write(big, async () => {
      await scene.change()
      await scene.change()
    })
    expect(scene.untouched).toEqual([false, false])
  })

  it('it resumes when the write fails', async () => {
    const scene = new Scene(true)
    const refuse = (): Promise<void> => Promise.reject(new Error('refused'))
    await expect(scene.write(big, refuse)).rejects.toThrow('refused')
    expect(scene.pauses).toEqual(['pause', 'resume'])
  })
})
