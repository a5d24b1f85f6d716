export interface Accounted {
  readonly packets: bigint
  readonly bytes: bigint
}

/** Named counters of the kernel, which rules name with `-m nfacct`. Every method throws {@link KernelError}. */
export interface Nfacct {
  /** Whether the kernel has them, and lets us use them. */
  supported(signal: AbortSignal): Promise<boolean>
  /** Creates a counter unless there is one of that name, which keeps what it has counted. At most 31 bytes of ASCII. */
  ensure(name: string, signal: AbortSignal): Promise<void>
  /** Undefined when there is no such counter. */
  read(name: string, signal: AbortSignal): Promise<Accounted | undefined>
  close(): void
}
