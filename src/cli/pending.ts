export const openNfacct = () => ({
  supported: async (_signal: AbortSignal) => false,
  ensure: async (_name: string, _signal: AbortSignal) => {},
  read: async (_name: string, _signal: AbortSignal): Promise<{ readonly packets: bigint } | undefined> => undefined,
  close: () => {},
})
