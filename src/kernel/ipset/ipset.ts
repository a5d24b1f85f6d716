/** What a set is, without its members. */
export interface SetHeader {
  readonly name: string
  /** E.g. `hash:ip,port`. */
  readonly type: string
  readonly entries: number
  /** Rules of either family, and list sets, that hold it. A held set cannot be destroyed. */
  readonly references: number
}

/** The kernel's ipsets. Rejections are {@link IpsetError}, or ExecError `aborted`. */
export interface Ipset {
  /** Every set, foreign ones too. Empty where the kernel has no ipset. */
  list(signal: AbortSignal): Promise<readonly SetHeader[]>
  /** A set that is gone already is no error. */
  destroy(name: string, signal: AbortSignal): Promise<void>
}
