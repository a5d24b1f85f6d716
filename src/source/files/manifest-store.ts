import type { ObjectRef, Problem } from '../../model/problem.ts'
import { Claims, type Difference } from './claims.ts'
import type { SyntaxFault } from './documents.ts'
import { type Findings, noFindings, withProblems } from './findings.ts'
import { digestOf, type Manifest, type ManifestOptions, readManifest } from './manifest.ts'

interface StoredFile {
  /** The version in force. */
  readonly manifest: Manifest | undefined
  /** False as long as no version was free of faults: until then the readable parts count. */
  readonly good: boolean
  /** The digest of the text seen last, good or not, or why there was none. */
  readonly seen: string
  /** What is wrong with the version in force and with the text seen last. */
  readonly findings: Findings
}

const unseen: StoredFile = { manifest: undefined, good: false, seen: '', findings: noFindings }

/**
 * The manifests of all files, and what changed in them since the listener last heard. A file that cannot be read keeps its
 * last good version in force. What looks wrong is reported only if it still does after `settleMs`, because most often
 * somebody is just writing the file; with 0, at once. It is reported once for as long as it lasts.
 */
export class ManifestStore {
  readonly #options: ManifestOptions
  readonly #settleMs: number
  readonly #claims: Claims
  readonly #files = new Map<string, StoredFile>()

  constructor(options: ManifestOptions, settleMs: number) {
    this.#options = options
    this.#settleMs = settleMs
    this.#claims = new Claims(settleMs)
  }

  get paths(): readonly string[] {
    return [...this.#files.keys()]
  }

  /** The file's text as it is now. Times are in milliseconds, of a clock that never goes back. */
  put(path: string, text: string, now: number): void {
    const file = this.#files.get(path) ?? unseen
    const seen = digestOf(text)
    if (seen === file.seen) return
    const manifest = readManifest(path, text, this.#options, file.manifest)
    const wasEmptied = manifest.blank && file.good && file.manifest?.objects.length !== 0
    if (manifest.fault === undefined && !wasEmptied) this.#accept(path, { manifest, good: true, seen }, [], now)
    else if (file.good) this.#keep(path, file, seen, problemOf(path, manifest.fault, keptReason), now)
    else this.#accept(path, { manifest, good: false, seen }, [problemOf(path, manifest.fault, skippedReason)], now)
  }

  /** The file is there but its text is not to be had. */
  fail(path: string, reason: string, now: number): void {
    const file = this.#files.get(path) ?? unseen
    if (file.seen === reason) return
    const kept = file.manifest === undefined ? 'so it is skipped' : keptReason
    this.#keep(path, file, reason, { object: fileRef(path), field: 'content', reason: `${reason}, ${kept}` }, now)
  }

  /** The file is gone. */
  remove(path: string): void {
    if (this.#files.delete(path)) this.#claims.replace(path, [])
  }

  /** What has to be said since the last call. */
  difference(now: number): Difference {
    const { changes, problems, due } = this.#claims.difference(now)
    const found: Problem[] = []
    let next = due
    for (const { findings } of this.#files.values()) {
      if (findings.size === 0) continue
      for (const finding of findings.values()) {
        if (finding.due === undefined) continue
        if (finding.due <= now) {
          finding.due = undefined
          found.push(finding.problem)
        } else next = next === undefined ? finding.due : Math.min(next, finding.due)
      }
    }
    return { changes, problems: [...found, ...problems], due: next }
  }

  #accept(path: string, file: Omit<StoredFile, 'findings'>, faults: readonly Problem[], now: number): void {
    const objects = file.manifest?.objects ?? []
    const problems = [...faults, ...objects.flatMap((object) => object.problems)]
    const before = this.#files.get(path)?.findings ?? noFindings
    this.#files.set(path, { ...file, findings: withProblems(before, problems, now + this.#settleMs) })
    this.#claims.replace(path, objects)
  }

  #keep(path: string, file: StoredFile, seen: string, fault: Problem, now: number): void {
    const known = file.manifest?.objects.flatMap((object) => object.problems) ?? []
    this.#files.set(path, {
      ...file,
      seen,
      findings: withProblems(file.findings, [fault, ...known], now + this.#settleMs),
    })
  }
}

const fileRef = (path: string): ObjectRef => ({ kind: 'File', namespace: undefined, name: path })

const keptReason = 'so the last good version of the file stays in force'
const skippedReason = 'so this part of the file is skipped'

const problemOf = (path: string, fault: SyntaxFault | undefined, consequence: string): Problem => ({
  object: fileRef(path),
  field: fault === undefined ? 'content' : `line ${fault.line}, column ${fault.column}`,
  reason: `${fault?.reason ?? 'is empty'}, ${consequence}`,
})
