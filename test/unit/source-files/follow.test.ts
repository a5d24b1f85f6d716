import { appendFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { follow, freshDirectory, service, slice, until } from './recorder.ts'

/** Longer than anything is held back. */
const aWhile = 250

describe('a followed folder', () => {
  it('is told once as a whole, and then by its differences', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'web.yaml'), `${service('web', '10.0.0.1')}---\n${slice('web-1', '10.1.0.1')}`)
    const seen = await follow([directory])
    expect(seen.take()).toEqual(['default/web 10.0.0.1', 'default/web-1 10.1.0.1', 'synced'])
    await writeFile(
      join(directory, 'web.yaml'),
      `${service('web', '10.0.0.1')}---\n${slice('web-1', '10.1.0.1', '10.1.0.2')}`,
    )
    await until(() => seen.lines.length > 0)
    await sleep(aWhile)
    expect(seen.take()).toEqual(['default/web-1 10.1.0.1,10.1.0.2'])
    await writeFile(
      join(directory, 'web.yaml'),
      `# the same\n${service('web', '10.0.0.1')}---\n${slice('web-1', '10.1.0.1', '10.1.0.2')}`,
    )
    await sleep(aWhile)
    expect([seen.take(), seen.takeProblems()]).toEqual([[], []])
  })

  it('passes a change on within tens of milliseconds', async () => {
    const directory = await freshDirectory()
    const path = join(directory, 'web.yaml')
    await writeFile(path, slice('web-1', '10.1.0.1'))
    for (let i = 0; i < 200; i++) await writeFile(join(directory, `other-${i}.yaml`), service(`s-${i}`, `10.0.1.${i}`))
    const seen = await follow([directory])
    const times: number[] = []
    for (let i = 2; i < 23; i++) {
      seen.take()
      await writeFile(path, slice('web-1', `10.1.0.${i}`))
      times.push(await until(() => seen.lines.length > 0))
    }
    times.sort((a, b) => a - b)
    expect(times[10]).toBeLessThan(50)
  })

  it('notices an atomic replacement', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.1'))
    const seen = await follow([directory])
    seen.take()
    await writeFile(join(directory, '.web.yaml.tmp'), service('web', '10.0.0.2'))
    await rename(join(directory, '.web.yaml.tmp'), join(directory, 'web.yaml'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/web 10.0.0.2'])
  })

  it('takes an object back when its file goes, or no longer holds it', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'a.yaml'), service('a', '10.0.0.1'))
    await writeFile(join(directory, 'b.yaml'), `${service('b', '10.0.0.2')}---\n${service('c', '10.0.0.3')}`)
    const seen = await follow([directory])
    seen.take()
    await rm(join(directory, 'a.yaml'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/a gone'])
    await writeFile(join(directory, 'b.yaml'), service('b', '10.0.0.2'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/c gone'])
  })

  it('does not take back what only moves to another file', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'a.yaml'), service('a', '10.0.0.1'))
    const seen = await follow([directory])
    seen.take()
    await rm(join(directory, 'a.yaml'))
    await sleep(20)
    await writeFile(join(directory, 'b.yaml'), service('a', '10.0.0.1'))
    await sleep(aWhile)
    expect([seen.take(), seen.takeProblems()]).toEqual([[], []])
  })

  it('keeps the last good version of a broken file, says so once, and recovers', async () => {
    const directory = await freshDirectory()
    const path = join(directory, 'web.yaml')
    await writeFile(path, service('web', '10.0.0.1'))
    const seen = await follow([directory])
    seen.take()
    await writeFile(path, `${service('other', '10.0.0.9')}---\nkind: Service\nmetadata: {name: web\nspec:\n`)
    await until(() => seen.problems.length > 0)
    await writeFile(join(directory, 'x.yaml'), service('x', '10.0.0.5'))
    await until(() => seen.lines.length > 0)
    await sleep(aWhile)
    expect(seen.take()).toEqual(['default/x 10.0.0.5'])
    const problems = seen.takeProblems()
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(
      /^File .*\/web\.yaml line 12, column \d+: .*, so the last good version of the file stays in force$/,
    )
    await writeFile(path, service('web', '10.0.0.2'))
    await until(() => seen.lines.length > 0)
    expect([seen.take(), seen.takeProblems()]).toEqual([['default/web 10.0.0.2'], []])
  })

  it('says nothing about a file that is just being written', async () => {
    const directory = await freshDirectory()
    const path = join(directory, 'web.yaml')
    await writeFile(path, service('web', '10.0.0.1'))
    const seen = await follow([directory])
    seen.take()
    const text = service('web', '10.0.0.2')
    await writeFile(path, '')
    await sleep(30)
    await appendFile(path, text.slice(0, 40))
    await sleep(30)
    await appendFile(path, text.slice(40))
    await until(() => seen.lines.length > 0)
    await sleep(aWhile)
    expect([seen.take(), seen.takeProblems()]).toEqual([['default/web 10.0.0.2'], []])
  })

  it('keeps what an emptied file held', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.1'))
    const seen = await follow([directory])
    seen.take()
    await writeFile(join(directory, 'web.yaml'), '')
    await until(() => seen.problems.length > 0)
    await sleep(aWhile)
    expect(seen.take()).toEqual([])
    expect(seen.takeProblems()[0]).toMatch(
      /web\.yaml content: is empty, so the last good version of the file stays in force$/,
    )
  })

  it('reads two directories; the first path wins, and the second takes over', async () => {
    const [first, second] = [await freshDirectory(), await freshDirectory()].sort()
    if (first === undefined || second === undefined) throw new Error('no directories')
    await writeFile(join(first, 'web.yaml'), service('web', '10.0.0.1'))
    await writeFile(join(second, 'web.yaml'), service('web', '10.0.0.2'))
    const seen = await follow([second, first])
    expect(seen.take()).toEqual(['default/web 10.0.0.1', 'synced'])
    expect(seen.takeProblems()).toEqual([
      `Service default/web metadata.name: the object stands in ${first}/web.yaml too, so the one in ${second}/web.yaml is not used`,
    ])
    await rm(join(first, 'web.yaml'))
    await until(() => seen.lines.length > 0)
    expect([seen.take(), seen.takeProblems()]).toEqual([['default/web 10.0.0.2'], []])
  })

  it('follows a mounted ConfigMap through the swap of its ..data link', async () => {
    const directory = await freshDirectory()
    const version = async (name: string, ip: string): Promise<void> => {
      await mkdir(join(directory, name))
      await writeFile(join(directory, name, 'web.yaml'), service('web', ip))
    }
    await version('..2026_01', '10.0.0.1')
    await symlink('..2026_01', join(directory, '..data'))
    await symlink('..data/web.yaml', join(directory, 'web.yaml'))
    const seen = await follow([directory])
    expect(seen.take()).toEqual(['default/web 10.0.0.1', 'synced'])
    for (const [from, to, ip] of [
      ['..2026_01', '..2026_02', '10.0.0.2'],
      ['..2026_02', '..2026_03', '10.0.0.3'],
    ] as const) {
      await version(to, ip)
      await symlink(to, join(directory, '..data_tmp'))
      await rename(join(directory, '..data_tmp'), join(directory, '..data'))
      await until(() => seen.lines.length > 0)
      expect(seen.take()).toEqual([`default/web ${ip}`])
      await rm(join(directory, from), { recursive: true })
    }
    await sleep(aWhile)
    expect([seen.take(), seen.takeProblems()]).toEqual([[], []])
  })

  it('notices a change behind a link', async () => {
    const [directory, elsewhere] = [await freshDirectory(), await freshDirectory()]
    await writeFile(join(elsewhere, 'web.txt'), service('web', '10.0.0.1'))
    await symlink(join(elsewhere, 'web.txt'), join(directory, 'web.yaml'))
    const seen = await follow([directory])
    seen.take()
    await writeFile(join(elsewhere, 'web.txt'), service('web', '10.0.0.2'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/web 10.0.0.2'])
  })

  it('looks into sub-folders, old and new', async () => {
    const directory = await freshDirectory()
    await mkdir(join(directory, 'a/b'), { recursive: true })
    await writeFile(
      join(directory, 'a/b/web.json'),
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web' },
        spec: { clusterIP: '10.0.0.1', ports: [{ port: 80 }] },
      }),
    )
    await symlink('..', join(directory, 'a/up'))
    const seen = await follow([directory])
    expect(seen.take()).toEqual(['default/web 10.0.0.1', 'synced'])
    await mkdir(join(directory, 'c'))
    await sleep(50)
    await writeFile(join(directory, 'c/x.yml'), service('x', '10.0.0.2'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/x 10.0.0.2'])
    await rm(join(directory, 'a'), { recursive: true })
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/web gone'])
  })

  it('keeps what it knows while a directory is away, and follows the one that comes back', async () => {
    const parent = await freshDirectory()
    const directory = join(parent, 'manifests')
    await mkdir(directory)
    await writeFile(join(directory, 'web.yaml'), `${service('web', '10.0.0.1')}---\n${service('old', '10.0.0.9')}`)
    const seen = await follow([directory])
    seen.take()
    await rm(directory, { recursive: true })
    await until(() => seen.problems.length > 0)
    await sleep(aWhile)
    expect(seen.take()).toEqual([])
    expect(seen.takeProblems()).toEqual([
      `Directory ${directory} content: cannot be read (ENOENT), so what was known of it stays in force`,
    ])
    await mkdir(directory)
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.2'))
    await until(() => seen.lines.length > 1)
    expect(seen.take()).toEqual(['default/web 10.0.0.2', 'default/old gone'])
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.3'))
    await until(() => seen.lines.length > 0)
    expect([seen.take(), seen.takeProblems()]).toEqual([['default/web 10.0.0.3'], []])
  })

  it('passes on no Node but its own', async () => {
    const directory = await freshDirectory()
    const node = (name: string): string => `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n---\n`
    await writeFile(join(directory, 'nodes.yaml'), node('n0') + node('n2'))
    const seen = await follow([directory])
    expect(seen.take()).toEqual(['synced'])
    await writeFile(join(directory, 'nodes.yaml'), node('n0') + node('n1') + node('n2'))
    await until(() => seen.lines.length > 0)
    expect([seen.take(), seen.takeProblems()]).toEqual([['node n1'], []])
  })

  it('ignores files that are no manifests', async () => {
    const directory = await freshDirectory()
    for (const name of ['.hidden.yaml', 'web.yaml~', '#web.yaml#', '.#web.yaml', 'web.yaml.swp', 'README.md', '.yaml'])
      await writeFile(join(directory, name), service('web', '10.0.0.1'))
    await mkdir(join(directory, '.git'))
    await writeFile(join(directory, '.git/web.yaml'), service('web', '10.0.0.1'))
    const seen = await follow([directory])
    await sleep(aWhile)
    expect([seen.take(), seen.takeProblems()]).toEqual([['synced'], []])
  })
})
