import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { kubernetesVersion, version, versionText } from '../../../src/cli/version.ts'

it("is the package's", () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  expect(text).toContain(`"version": "${version}"`)
})

it('names the Kubernetes release that docs/compatibility.md compares with', () => {
  const text = readFileSync(new URL('../../../docs/compatibility.md', import.meta.url), 'utf8')
  expect(text).toContain(`kube-proxy ${kubernetesVersion} `)
})

it('prints text, or JSON', () => {
  expect(versionText('text')).toBe(`weir v${version} (Kubernetes ${kubernetesVersion})`)
  expect(JSON.parse(versionText('raw'))).toEqual({
    weir: version,
    kubernetes: kubernetesVersion,
    node: process.version,
  })
})
