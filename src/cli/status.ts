import type { UserspaceStatus } from '../backends/userspace/status.ts'
import type { Config } from '../config/config.ts'
import { within } from '../model/within.ts'
import { describe, FatalError } from './fatal.ts'
import { statusText } from './status-text.ts'

/** Where the metrics server answers with a {@link UserspaceStatus}, in mode userspace. */
export const statusPath = '/weir/status'

const patienceMs = 5000

/**
 * `weir status`: asks the process that runs on this node, at the metrics address of the same configuration.
 *
 * @throws FatalError when none answers
 */
export const status = async (
  config: Pick<Config, 'metrics' | 'json'>,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> => {
  const base = urlOf(config.metrics)
  const found = await ask(`${base}${statusPath}`, signal)
  if (found.ok) {
    // The process that answers is of this very program.
    const document = JSON.parse(found.text) as UserspaceStatus
    return say(config.json ? `${JSON.stringify(document, null, 2)}\n` : statusText(document))
  }
  const reply = await ask(`${base}/proxyMode`, signal)
  const mode = reply.ok ? reply.text.trim() : ''
  if (!/^[a-z]+$/.test(mode)) throw new FatalError(`what answers at ${base} is not weir`)
  say(
    config.json
      ? `${JSON.stringify({ mode }, null, 2)}\n`
      : `mode ${mode}: the kernel forwards, and no connection passes through weir; weir render shows the rules\n`,
  )
}

const urlOf = ({ ip, port }: Config['metrics']): string => {
  const host = ip === '0.0.0.0' ? '127.0.0.1' : ip === '::' ? '::1' : ip
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const ask = async (url: string, signal: AbortSignal): Promise<{ readonly ok: boolean; readonly text: string }> => {
  try {
    return await within(patienceMs, signal, async (either) => {
      const response = await fetch(url, { signal: either })
      return { ok: response.ok, text: await response.text() }
    })
  } catch (error) {
    signal.throwIfAborted()
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new FatalError(`no weir answers at ${new URL(url).origin}: ${describe(cause)}`, error)
  }
}
