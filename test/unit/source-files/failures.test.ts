import { execFileSync } from 'node:child_process'
import { symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createFileSource } from '../../../src/source/files/file-source.ts'
import { readOnce } from '../../../src/source/files/read-once.ts'
import {
  describeChange,
  describeProblem,
  follow,
  freshDirectory,
  Recorder,
  service,
  sourceOptions,
  until,
} from './recorder.ts'

const never = new AbortController().signal

const read = async (directory: string) => {
  const { changes, problems } = await readOnce([directory], sourceOptions, never)
  return {
    changes: changes.map(describeChange),
    problems: problems.map((p) => describeProblem(p).replaceAll(directory, '')),
  }
}

describe('a folder that is not there', () => {
  it('is an error at the start', async () => {
    const directory = await freshDirectory()
    const path = join(directory, 'nowhere')
    const expected = { name: 'SourceError', code: 'missing-directory', op: `read the directory ${path}` }
    const recorder = new Recorder()
    await expect(
      createFileSource({ ...sourceOptions, directories: [directory, path] }).run(recorder, never),
    ).rejects.toMatchObject(expected)
    await expect(readOnce([path], sourceOptions, never)).rejects.toMatchObject(expected)
    expect(recorder.lines).toEqual([])
  })

  it('is an error, too, when a file stands there', async () => {
    const path = join(await freshDirectory(), 'web.yaml')
    await writeFile(path, '')
    await expect(readOnce([path], sourceOptions, never)).rejects.toMatchObject({ code: 'not-a-directory' })
  })
})

describe('a folder that cannot be watched', () => {
  it('is looked through again and again', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.1'))
    const openWatch = (): never => {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    }
    const seen = await follow([directory], { openWatch, timing: { pollMs: 50 } })
    seen.take()
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.2'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/web 10.0.0.2'])
    // The same size within one tick of the clock: only the content tells.
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.3'))
    await until(() => seen.lines.length > 0)
    expect(seen.take()).toEqual(['default/web 10.0.0.3'])
    await sleep(200)
    expect(seen.takeProblems().filter((line) => line.startsWith(`Directory ${directory} `))).toEqual([
      `Directory ${directory} watch: cannot be watched (ENOSPC), so it is looked through again and again`,
    ])
  })
})

describe('the end', () => {
  it('comes with the signal', async () => {
    const directory = await freshDirectory()
    const recorder = new Recorder()
    await createFileSource({ ...sourceOptions, directories: [directory] }).run(recorder, AbortSignal.abort())
    expect(recorder.lines).toEqual([])
    const stop = new AbortController()
    const running = createFileSource({ ...sourceOptions, directories: [directory] }).run(recorder, stop.signal)
    await until(() => recorder.syncs > 0)
    stop.abort()
    await running
    await writeFile(join(directory, 'web.yaml'), service('web', '10.0.0.1'))
    await sleep(50)
    expect(recorder.lines).toEqual(['synced'])
  })
})

describe('files that cannot be read', () => {
  it('each give one problem, and the others are read', async () => {
    const directory = await freshDirectory()
    const write = (name: string, content: string | Uint8Array): Promise<void> =>
      writeFile(join(directory, name), content)
    await write('alias.yaml', laughs())
    await write('broken.json', '{"kind": "List",\n  "items": [1,]\n}')
    await write('deep.yaml', '['.repeat(20_000))
    await write('good.yaml', service('good', '10.0.0.1'))
    await write('latin1.yaml', Uint8Array.of(0x61, 0xe9, 0x0a))
    await write('partly.yaml', `${service('partly', '10.0.0.2')}---\na: b: c\n`)
    await write('huge.yaml', '')
    await truncate(join(directory, 'huge.yaml'), 64 * 1024 * 1024 + 1)
    await symlink('nothing', join(directory, 'link.yaml'))
    await symlink('loop.yaml', join(directory, 'loop.yaml'))
    await symlink('/dev/zero', join(directory, 'zero.yaml'))
    execFileSync('mkfifo', [join(directory, 'pipe.yaml')])
    const { changes, problems } = await read(directory)
    expect(changes).toEqual(['default/good 10.0.0.1', 'default/partly 10.0.0.2'])
    expect(problems.sort()).toEqual([
      expect.stringMatching(
        /^File \/alias\.yaml line 1, column 1: Excessive alias count.*, so this part of the file is skipped$/,
      ),
      expect.stringMatching(/^File \/broken\.json line 2, column 15: .*, so this part of the file is skipped$/),
      expect.stringMatching(/^File \/deep\.yaml line 1, column \d+: .*, so this part of the file is skipped$/),
      'File /huge.yaml content: has 67108865 bytes, more than the 67108864 allowed, so it is skipped',
      'File /latin1.yaml content: is not UTF-8 text, so it is skipped',
      'File /link.yaml content: cannot be read (ENOENT), so what was known of it stays in force',
      'File /loop.yaml content: cannot be read (ELOOP), so what was known of it stays in force',
      expect.stringMatching(/^File \/partly\.yaml line 10, column \d+: .*, so this part of the file is skipped$/),
      'File /pipe.yaml content: is not a regular file, so it is skipped',
      'File /zero.yaml content: is not a regular file, so it is skipped',
    ])
  })
})

/** A "billion laughs": ten lists, each of ten of the one before. */
const laughs = (): string => {
  const lines = ['a0: &a0 [x, x]']
  for (let i = 1; i < 10; i++)
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`)
  return lines.join('\n')
}

describe('what a folder holds', () => {
  it('may be several documents, lists and JSON texts', async () => {
    const directory = await freshDirectory()
    const json = (name: string, ip: string): object => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { clusterIP: ip, ports: [{ port: 80 }] },
    })
    await writeFile(
      join(directory, 'a.yaml'),
      `# only a comment\n---\n${service('a', '10.0.0.1')}---\n---\n${service('b', '10.0.0.2')}`,
    )
    await writeFile(
      join(directory, 'b.yaml'),
      `%YAML 1.2\n---\n${service('c', '10.0.0.3')}...\n---\n${service('d', '10.0.0.4')}`,
    )
    await writeFile(
      join(directory, 'c.json'),
      `${JSON.stringify(json('e', '10.0.0.5'))}\n${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [json('f}"{', '10.0.0.6'), json('g', '10.0.0.7')] })}`,
    )
    await writeFile(join(directory, 'd.yaml'), `\ufeff${service('h', '10.0.0.8')}`.replaceAll('\n', '\r\n'))
    await writeFile(
      join(directory, 'e.yaml'),
      `base: &base {apiVersion: v1, kind: Service}\n---\n<<: {apiVersion: v1, kind: Service}\nmetadata: {name: i}\nspec: {clusterIP: 10.0.0.9, ports: [{port: 80}]}\n`,
    )
    const { changes, problems } = await read(directory)
    expect(changes).toEqual(
      ['a', 'b', 'c', 'd', 'e', 'g', 'h', 'i'].map((name) => `default/${name} 10.0.0.${'abcdefghi'.indexOf(name) + 1}`),
    )
    expect(problems).toEqual([
      'Service default/f}"{ metadata.name: "f}\\"{" is not a DNS name, so the Service is skipped',
      'Object (unnamed) kind: is missing, so the object is skipped',
    ])
  })

  it('may hold an object twice in one file; the first counts', async () => {
    const directory = await freshDirectory()
    await writeFile(join(directory, 'a.yaml'), `${service('a', '10.0.0.1')}---\n${service('a', '10.0.0.2')}`)
    expect(await read(directory)).toEqual({
      changes: ['default/a 10.0.0.1'],
      problems: [
        'Service default/a metadata.name: the object stands in /a.yaml more than once, so only the first is used',
      ],
    })
  })

  it('is nothing in an empty folder', async () => {
    expect(await read(await freshDirectory())).toEqual({ changes: [], problems: [] })
  })
})
