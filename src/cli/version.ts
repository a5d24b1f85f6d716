/** Of this package; a test holds it to package.json. */
export const version = '0.1.0'

/** The Kubernetes release whose kube-proxy this equals in behaviour, where docs/compatibility.md says so. */
export const kubernetesVersion = 'v1.36.2'

export const versionText = (format: 'text' | 'raw'): string =>
  format === 'raw'
    ? JSON.stringify({ weir: version, kubernetes: kubernetesVersion, node: process.version })
    : `weir v${version} (Kubernetes ${kubernetesVersion})`
