import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { readOnce } from '../../../src/source/files/read-once.ts'
import { describeChange } from './recorder.ts'

const examples = fileURLToPath(new URL('../../../examples', import.meta.url))

it('the examples are read without a problem, every one', async () => {
  const options = { nodeName: 'weir-node', proxyName: undefined, allowExternalIPs: true }
  const { changes, problems } = await readOnce([examples], options, new AbortController().signal)
  expect(problems).toEqual([])
  expect(await readdir(examples)).toEqual([
    'api.yaml',
    'dual-stack.yaml',
    'node.yaml',
    'servicecidr.yaml',
    'sticky.yaml',
    'web.yaml',
  ])
  expect(changes.map(describeChange)).toEqual([
    'default/api 10.96.0.20',
    'default/api-m4q8d 10.244.0.21,10.244.0.22',
    'default/dns 10.96.0.53,2001:db8:96::53',
    'default/dns-v4 10.244.0.53',
    'default/dns-v6 2001:db8:244::53',
    'node weir-node',
    'cidr kubernetes 10.96.0.0/16,2001:db8:96::/108',
    'default/sticky 10.96.0.30',
    'default/sticky-h9w5c 10.244.0.31,10.244.0.32',
    'default/web 10.96.0.10',
    'default/web-7xk2p 10.244.0.11,10.244.0.12,10.244.0.13',
  ])
})
