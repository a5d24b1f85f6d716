import type { ObjectRef, Problem } from '../../model/problem.ts'
import { Claims, type Difference } from './claims.ts'
import { digestOf, type Manifest, type ManifestOptions, readManifest } from './manifest.ts'

interface StoredFile {
  /** The version in force. */
  readonly manifest: Manifest | undefined
  /** False as long as no version was free of faults: until then the readable parts count. */
  readonly good: boolean
  /** The digest of the text seen last, good or not, or why there was none. */
  readonly seen: string
  readonly fault: PendingFault | undefined
  /** The objects' problems that have been reported. */
  readonly reported: ReadonlySet<string>
}

interface PendingFault {
  readonly problem: Problem
  /** When to report it; undefined = done. */
  readonly due: number | undefined
}

const unseen: StoredFile = { manifest: undefined, good: false, seen: '', fault: undefined, reported: new Set() }

const fileRef = (path: string): ObjectRef => ({ kind: 'File', namespace: undefined, name: path })

/**
 * The manifests of all files, and what changed in them since the listener last heard. A file that cannot be read keeps its
 * last good version in force. What looks broken is reported only if it still does after `settleMs`, because most often
 * somebody is just writing it; with 0, at once.
 */
export class ManifestStore {
  readonly #options: ManifestOptions
  readonly #settleMs: number
  readonly #claims: Claims
  readonly #files = new Map<string, StoredFile>()
  #problems: Problem[] = []

  constructor(options: ManifestOptions, settleMs: number) {
    this.#options = options
    this.#settleMs = settleMs
    this.#claims = new Claims(settleMs)
  }

  get paths(): IterableIterator<string> {
    return this.#files.keys()
  }

  /** The file's text as it is now. */
  put(path: string, text: string, now: number): void {
    const file = this.#files.get(path) ?? unseen
    const seen = digestOf(text)
    if (seen === file.seen) return
    const manifest = readManifest(path, text, this.#options, file.manifest)
    const isGood = manifest.fault === undefined && !(manifest.blank && file.good && file.manifest?.objects.length !== 0)
    const fault = isGood ? undefined : this.#faultOf(path, manifest, file, now)
    if (!isGood && file.good) {
      this.#files.set(path, { ...file, seen, fault })
      return
    }
    const reported = this.#reportObjects(manifest, file.reported)
    this.#claims.replace(path, manifest.objects)
    this.#files.set(path, { manifest, good: isGood, seen, fault, reported })
  }

  /** The file is there but its text is not to be had. */
  fail(path: string, reason: string, now: number): void {
    const file = this.#files.get(path) ?? unseen
    if (file.seen === reason) return
    const kept = file.manifest === undefined ? 'so it is skipped' : 'so its last good version stays in force'
    const problem = { object: fileRef(path), field: 'content', reason: `${reason}, ${kept}` }
    this.#files.set(path, { ...file, seen: reason, fault: { problem, due: now + this.#settleMs } })
  }

  /** The file is gone. */
  remove(path: string): void {
    if (this.#files.delete(path)) this.#claims.replace(path, [])
  }

  /** What has to be said since the last call. */
  difference(now: number): Difference {
    const { changes, problems, due } = this.#claims.difference(now)
    let next = due
    for (const [path, file] of this.#files) {
      const at = file.fault?.due
      if (file.fault === undefined || at === undefined) continue
      if (at <= now) {
        this.#problems.push(file.fault.problem)
        this.#files.set(path, { ...file, fault: { problem: file.fault.problem, due: undefined } })
      } else next = next === undefined ? at : Math.min(next, at)
    }
    const found = [...this.#problems, ...problems]
    this.#problems = []
    return { changes, problems: found, due: next }
  }

  #faultOf(path: string, { fault }: Manifest, file: StoredFile, now: number): PendingFault {
    const kept = file.good
      ? 'so the last good version of the file stays in force'
      : 'so this part of the file is skipped'
    const field = fault === undefined ? 'content' : `line ${fault.line}, column ${fault.column}`
    const problem = { object: fileRef(path), field, reason: `${fault?.reason ?? 'is empty'}, ${kept}` }
    return { problem, due: now + this.#settleMs }
  }

  #reportObjects({ objects }: Manifest, before: ReadonlySet<string>): ReadonlySet<string> {
    const reported = new Set<string>()
    for (const { problems } of objects) {
      for (const problem of problems) {
        const { object, field, reason } = problem
        const key = [object.kind, object.namespace, object.name, field, reason].join('\n')
        if (!before.has(key) && !reported.has(key)) this.#problems.push(problem)
        reported.add(key)
      }
    }
    return reported
  }
}
