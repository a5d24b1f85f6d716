import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** PEM throughout. */
export interface TestCertificates {
  readonly ca: string
  readonly server: { readonly key: string; readonly cert: string }
  /** Common name `weir-test`. */
  readonly client: { readonly key: string; readonly cert: string }
}

/** A CA, a server certificate for 127.0.0.1 and localhost, and a client certificate; made by openssl, good for a day. */
export const makeCertificates = (): TestCertificates => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-certificates-'))
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] })
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const
  const sign = (name: string, subject: string, extensions: string): void => {
    writeFileSync(join(dir, `${name}.ext`), extensions)
    openssl('req', '-new', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '1', '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    )
  }
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8')
  try {
    openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '1', '-subj', '/CN=weir-test-ca')
    sign('server', '/CN=kube-apiserver', 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n')
    sign('client', '/O=system:node-proxier/CN=weir-test', 'extendedKeyUsage=clientAuth\n')
    return {
      ca: read('ca.crt'),
      server: { key: read('server.key'), cert: read('server.crt') },
      client: { key: read('client.key'), cert: read('client.crt') },
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
