/** weir's default metrics address; this process is in the node's network namespace. */
const metricsUrl = 'http://127.0.0.1:10249/metrics'

export interface SyncTime {
  readonly seconds: number
  readonly count: number
}

/** How long weir has spent on IPv4 syncs so far, and on how many: kube-proxy's own metric. */
export const syncTime = async (): Promise<SyncTime> => {
  const response = await fetch(metricsUrl, { signal: AbortSignal.timeout(2_000) })
  const text = await response.text()
  const read = (suffix: string): number => {
    const line = new RegExp(`^kubeproxy_sync_proxy_rules_duration_seconds_${suffix}\\{ip_family="IPv4"\\} (.+)$`, 'm')
    const value = Number(line.exec(text)?.[1])
    if (Number.isNaN(value)) throw new Error(`no sync duration at ${metricsUrl}`)
    return value
  }
  return { seconds: read('sum'), count: read('count') }
}
