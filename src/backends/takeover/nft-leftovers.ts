import { ExecError } from '../../kernel/exec/exec-error.ts'
import type { Run } from '../../kernel/exec/run.ts'
import { type Part, TakeoverError } from './report.ts'

/** kube-proxy's two tables in nftables mode. `inet kube-proxy`, say, would be somebody else's. */
const tables = ['ip kube-proxy', 'ip6 kube-proxy'] as const

/** What nft says where nfnetlink or nf_tables is not in the kernel. */
const noSupport = /Protocol not supported|Operation not supported|cache initialization failed: Invalid argument/
const gone = /No such file or directory/

export const nftLeftovers = async (run: Run, remove: boolean, signal: AbortSignal): Promise<Part[]> => {
  try {
    const { status, stdout, stderr } = await run(['nft', 'list', 'tables'], { signal })
    if (status !== 0) {
      if (noSupport.test(stderr)) return []
      throw new Error(stderr.trim())
    }
    const lines = new Set(stdout.split('\n'))
    const found = tables.filter((table) => lines.has(`table ${table}`))
    if (!remove) return [{ counts: { nftTables: found.length } }]
    const parts: Part[] = []
    for (const table of found) parts.push(await deleteTable(run, table, signal))
    return parts
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ExecError && error.code === 'missing') return []
    return [{ errors: [new TakeoverError('nftables', 'list tables', error)] }]
  }
}

const deleteTable = async (run: Run, table: string, signal: AbortSignal): Promise<Part> => {
  const { status, stderr } = await run(['nft', 'delete', 'table', ...table.split(' ')], { signal, timeoutMs: 300_000 })
  if (status === 0) return { counts: { nftTables: 1 } }
  if (gone.test(stderr)) return {}
  return { errors: [new TakeoverError('nftables', `delete table ${table}`, new Error(stderr.trim()))] }
}
