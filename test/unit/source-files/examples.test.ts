import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as models from '@kubernetes/client-node'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readOnce } from '../../../src/source/files/read-once.ts'
import { describeChange } from './recorder.ts'

const examples = fileURLToPath(new URL('../../../examples', import.meta.url))
/** Without the folder of scenarios, which are no objects of a cluster. */
const names = (await readdir(examples)).filter((name) => name.endsWith('.yaml')).sort()

describe('the examples', () => {
  it('are read without a problem, every one', async () => {
    const options = { nodeName: 'weir-node', proxyName: undefined, allowExternalIPs: true }
    const { changes, problems } = await readOnce([examples], options, new AbortController().signal)
    expect(problems).toEqual([])
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

  it.each(names)('%s begins with a comment, and has no field that the API lacks', async (name) => {
    const text = await readFile(join(examples, name), 'utf8')
    expect(text).toMatch(/^# \S/)
    for (const document of parseAllDocuments(text)) {
      const json: unknown = document.toJS()
      expect(unknownFields(json, `V1${String(entry(json, 'kind'))}`)).toEqual([])
    }
  })

  it('would be caught with a field or a type that the API lacks', () => {
    const port = { name: 'http', port: '80', nodeport: 30080 }
    const service = { kind: 'Service', metadata: { name: 'web' }, spec: { ports: [port] } }
    expect(unknownFields(service, 'V1Service')).toEqual([
      '.spec.ports[0].port: not a number',
      '.spec.ports[0].nodeport',
    ])
  })
})

const entry = (value: unknown, key: string): unknown =>
  (typeof value === 'object' && value !== null) || typeof value === 'function' ? Reflect.get(value, key) : undefined

/** Checks a value against the generated model classes of the API's OpenAPI schema. */
const unknownFields = (value: unknown, type: string, path = ''): readonly string[] => {
  const item = /^Array<(.*)>$/.exec(type)?.[1]
  if (item !== undefined) {
    if (!Array.isArray(value)) return [`${path}: not a list`]
    return value.flatMap((child, i) => unknownFields(child, item, `${path}[${i}]`))
  }
  if (type === 'string' || type === 'number' || type === 'boolean')
    return typeof value === type ? [] : [`${path}: not a ${type}`]
  if (type.startsWith('{'))
    return Object.entries(value ?? {}).flatMap(([key, child]) =>
      typeof child === 'string' ? [] : [`${path}.${key}: not a string`],
    )
  const model: unknown = entry(models, type)
  if (typeof model !== 'function') return type === 'IntOrString' ? [] : [`${path}: no model ${type}`]
  const attributes: unknown = entry(model, 'attributeTypeMap')
  const types = new Map<unknown, unknown>(
    Array.isArray(attributes) ? attributes.map((known) => [entry(known, 'baseName'), entry(known, 'type')]) : [],
  )
  return Object.entries(value ?? {}).flatMap(([key, child]) => {
    const known = types.get(key)
    return typeof known === 'string' ? unknownFields(child, known, `${path}.${key}`) : [`${path}.${key}`]
  })
}
