/** The load generators: wrk(1) for connections and requests, iperf3(1) for bulk. Both are C and far cheaper than a proxy. */
import { Process } from './processes.ts'

/** Makes wrk's request 100 bytes long: it is 45 bytes with a one-digit path and a five-digit port. */
const padding = `X-Padding: ${'x'.repeat(41)}`

const seconds = (text: string): number => {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text)
  const units: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }
  return Number(match?.[1]) * (units[match?.[2] ?? ''] ?? Number.NaN)
}

const field = (pattern: RegExp, output: string): string => {
  const value = pattern.exec(output)?.[1]
  if (value === undefined) throw new Error(`no ${pattern} in:\n${output}`)
  return value
}

export interface Connections {
  readonly count: number
  readonly perSecond: number
}

/** Opens a connection, asks once, closes, 64 at a time. @throws Error when any connection fails */
export const connections = async (cpus: string, port: number, duration: number): Promise<Connections> => {
  const headers = ['-H', 'Connection: close']
  const wrk = ['wrk', '-t1', '-c64', `-d${duration}`, ...headers, `http://127.0.0.1:${port}/`]
  const output = await new Process(cpus, wrk).output()
  const errors = /^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$/m.exec(output)
  if (errors !== null) throw new Error(`port ${port}: ${errors[0].trim()}`)
  return {
    count: Number(field(/(\d+) requests in/, output)),
    perSecond: Number(field(/Requests\/sec:\s*([\d.]+)/, output)),
  }
}

export interface Latency {
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
}

/** One request of 100 bytes after the other on one connection. */
export const latency = async (cpus: string, port: number, duration: number): Promise<Latency> => {
  const wrk = ['wrk', '-t1', '-c1', `-d${duration}`, '--latency', '-H', padding, `http://127.0.0.1:${port}/`]
  const output = await new Process(cpus, wrk).output()
  const quantile = (name: string): number => 1e6 * seconds(field(new RegExp(`^\\s*${name}%\\s+(\\S+)$`, 'm'), output))
  return { p50: quantile('50'), p99: quantile('99') }
}

/** Eight streams at once; `download`: from the endpoint to the client. Bytes per second. */
export const bulk = async (cpus: string, port: number, duration: number, download: boolean): Promise<number> => {
  const iperf = ['iperf3', '-c', '127.0.0.1', '-p', String(port), '-P', '8', '-t', String(duration), '-J']
  const output = await new Process(cpus, download ? [...iperf, '-R'] : iperf).output()
  const report: unknown = JSON.parse(output)
  const { end } = report as { readonly end: { readonly sum_received: { readonly bits_per_second: number } } }
  return end.sum_received.bits_per_second / 8
}
