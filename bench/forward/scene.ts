import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { proxyConfig, responderConfig } from './haproxy.ts'
import { ports } from './ports.ts'
import { listening, Process } from './processes.ts'

/** Both proxies on the same processors, clients and endpoints on the others. */
export interface Scene {
  readonly weir: Process
  readonly haproxy: Process
  /** For taskset(1). */
  readonly loadCpus: string
  readonly proxyCpus: string
  /** Connections that fit through a proxy, two descriptors each. */
  readonly maxConnections: number
  readonly close: () => Promise<void>
}

const node = (file: string, ...args: readonly string[]): readonly string[] => [
  process.execPath,
  fileURLToPath(new URL(file, import.meta.url)),
  ...args,
]

export const holder = (cpu: string, ...args: readonly string[]): Process =>
  new Process(cpu, node('./holder.js', ...args))

export const openScene = async (threads: number): Promise<Scene> => {
  // Closed connections must not use up the local ports of a run; both proxies have the same.
  execFileSync('sysctl', ['-qw', 'net.ipv4.ip_local_port_range=10000 65535', 'net.ipv4.tcp_tw_reuse=1'])
  const all = cpus().length
  const first = Math.max(1, all - threads)
  const [loadCpus, proxyCpus] = all === 1 ? ['0', '0'] : [`0-${first - 1}`, `${first}-${all - 1}`]
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024)
  const maxConnections = Math.floor((limit - 150) / 2)
  writeFileSync('/run/responder.cfg', responderConfig(maxConnections))
  writeFileSync('/run/proxy.cfg', proxyConfig(threads, maxConnections))
  const haproxy = new Process(proxyCpus, ['haproxy', '-db', '-q', '-f', '/run/proxy.cfg'])
  const weir = new Process(proxyCpus, node('./proxy.js', String(threads)))
  const others = [
    new Process(loadCpus, ['haproxy', '-db', '-q', '-f', '/run/responder.cfg']),
    new Process(loadCpus, ['iperf3', '-s', '-p', String(ports.sink)]),
    holder(loadCpus, 'serve'),
  ]
  await weir.said('ready')
  await others[2]?.said('ready')
  for (const port of [...ports.responders, ports.haproxy.web, ports.weir.web]) await listening(port)
  return {
    weir,
    haproxy,
    loadCpus,
    proxyCpus,
    maxConnections,
    close: async () => {
      for (const process of [weir, haproxy, ...others]) await process.end()
    },
  }
}
