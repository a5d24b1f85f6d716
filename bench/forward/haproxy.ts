import { ports } from './ports.ts'

const timeouts = 'timeout connect 5s\n  timeout client 1h\n  timeout server 1h'

/** The web servers behind both proxies: an answer with 100 bytes of body, straight from memory. */
export const responderConfig = (maxConnections: number): string => `
global
  nbthread 1
  maxconn ${maxConnections}
defaults
  mode http
  ${timeouts}
frontend responder
${ports.responders.map((port) => `  bind 127.0.0.1:${port} backlog 4096`).join('\n')}
  http-request return status 200 content-type text/plain string "${'x'.repeat(100)}"
`

/** HAProxy as the proxy: TCP mode, round robin, everything else as it comes. */
export const proxyConfig = (threads: number, maxConnections: number): string => `
global
  nbthread ${threads}
  maxconn ${maxConnections}
defaults
  mode tcp
  balance roundrobin
  ${timeouts}
${(['web', 'bulk', 'idle'] as const)
  .map(
    (name) => `
listen ${name}
  bind 127.0.0.1:${ports.haproxy[name]} backlog 4096
${backendsOf(name)
  .map((port) => `  server s${port} 127.0.0.1:${port}`)
  .join('\n')}`,
  )
  .join('\n')}
`

/** The ports behind a frontend. */
export const backendsOf = (name: 'web' | 'bulk' | 'idle'): readonly number[] =>
  name === 'web' ? ports.responders : [name === 'bulk' ? ports.sink : ports.holder]
