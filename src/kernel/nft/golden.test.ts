/** What we send is what nft sends, attribute for attribute: captures of nft 1.0.6 in test/golden/netlink. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MessageReader } from '../netlink/wire.ts'
import { Batch } from './batch.ts'
import { readChain, readGeneration, readRule, readSet, readTable } from './decode.ts'
import { readElements } from './element.ts'
import {
  accept,
  bitwise,
  cmp,
  counter,
  ct,
  ctState,
  dnat,
  dynset,
  type Expr,
  fibType,
  goTo,
  hostU32,
  jump,
  loadDaddr,
  loadDport,
  loadSaddr,
  mapTo,
  masquerade,
  member,
  meta,
  metaSet,
  netU16,
  numgen,
  payload,
  RTN_LOCAL,
  register,
  rejectPort,
  returnFromChain,
  vmap,
} from './expr.ts'

interface Capture {
  readonly messages: readonly { readonly dir: 'send' | 'recv'; readonly msg: string; readonly hex: string }[]
}
const capture = (name: string): Capture =>
  JSON.parse(readFileSync(new URL(`../../../test/golden/netlink/${name}.golden.json`, import.meta.url), 'utf8'))

type Tree = readonly [type: number, value: string | readonly Tree[]]

/** Attributes as a tree; those that only a batch which also creates the set has (its id) are left out. */
const tree = (bytes: Uint8Array, within: string): readonly Tree[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out: Tree[] = []
  let name = within
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at, true)
    const raw = view.getUint16(at + 2, true)
    const value = bytes.subarray(at + 4, at + length)
    const type = raw & 0x3fff
    if (within === 'expression' && type === 1) name = Buffer.from(value.subarray(0, -1)).toString()
    if (raw & 0x8000) out.push(nestedTree(type, value, name))
    else if (!isSetId(name, type)) out.push([type, Buffer.from(value).toString('hex')])
    at += (length + 3) & ~3
  }
  // `mask and xor` is the default operation; nft writes it or not.
  return within === 'bitwise' ? out.filter(([type]) => type !== 6) : out
}

const nestedTree = (type: number, value: Uint8Array, name: string): Tree => {
  if (name === 'rule' && type === 4) return [type, tree(value, 'expressions')]
  if (name === 'expressions') return [type, tree(value, 'expression')]
  if (name === 'elements' && type === 3) return [type, tree(value, 'element list')]
  // nft numbers the elements of a list; the kernel does not look.
  if (name === 'element list') return [1, tree(value, 'element')]
  return [type, tree(value, name)]
}

const isSetId = (name: string, type: number): boolean =>
  (name === 'elements' && type === 4) || (name === 'lookup' && type === 4) || (name === 'dynset' && type === 2)

/** Header without length, sequence and port id, then the attributes. */
const essence = (message: Uint8Array): unknown => {
  const kind = message[4]
  const within = kind === 6 ? 'rule' : kind === 12 || kind === 14 ? 'elements' : 'other'
  return [
    Buffer.from(message.subarray(4, 8)).toString('hex'),
    Buffer.from(message.subarray(16, 20)).toString('hex'),
    tree(message.subarray(20), within),
  ]
}

const sent = capture('nft-load').messages.filter(({ dir }) => dir === 'send')
const sentOf = (kind: string, holding: string): Uint8Array => {
  const found = sent.filter(
    ({ msg, hex }) => msg === kind && hex.includes(Buffer.from(holding, 'latin1').toString('hex')),
  )
  expect(found.length, `${kind} with ${holding}`).toBeGreaterThan(0)
  return Buffer.from(found[0]?.hex ?? '', 'hex')
}

const messagesOf = (batch: Batch): readonly Uint8Array[] => {
  const out: Uint8Array[] = []
  const messages = new MessageReader(batch.finish())
  while (messages.next()) out.push(messages.bytes.slice(messages.at, messages.end))
  return out
}
/** The one message between BATCH_BEGIN and BATCH_END. */
const only = (describeBatch: (batch: Batch) => void): Uint8Array => {
  const batch = new Batch('ip', 'kp')
  describeBatch(batch)
  const [, message, ...rest] = messagesOf(batch)
  expect(rest).toHaveLength(1)
  return message ?? new Uint8Array()
}

const put = (batch: Batch, at: number, hex: string): void => batch.bytes.set(Buffer.from(hex, 'hex'), at)

describe('messages', () => {
  test('the frame of a batch', () => {
    const [begin, end] = messagesOf(new Batch('ip', 'kp'))
    expect(essence(begin ?? new Uint8Array())).toEqual(essence(sentOf('NFNL_MSG_BATCH_BEGIN', '')))
    const wanted = sentOf('NFNL_MSG_BATCH_END', '')
    // We ask for the acknowledgement that nft does without.
    wanted[6] = 5
    expect(essence(end ?? new Uint8Array())).toEqual(essence(wanted))
  })

  test('chains', () => {
    expect(essence(only((batch) => batch.addChain('svc-a')))).toEqual(essence(sentOf('NFT_MSG_NEWCHAIN', 'svc-a')))
    expect(essence(only((batch) => batch.addChain('mark-masq', 'mark chain')))).toEqual(
      essence(sentOf('NFT_MSG_NEWCHAIN', 'mark-masq')),
    )
  })

  test('a table', () => {
    const ours = only((batch) => batch.addTable('rules for kube-proxy'))
    const theirs = Buffer.from(sentOf('NFT_MSG_NEWTABLE', 'kp'))
    // nft creates tables without NLM_F_CREATE and with explicit flags 0; neither changes anything.
    const wanted = essence(theirs.subarray()) as [string, string, readonly Tree[]]
    const got = essence(ours) as [string, string, readonly Tree[]]
    expect(got[2]).toEqual(wanted[2].filter(([type]) => type !== 2))
  })

  test('set elements with comments', () => {
    const ours = only((batch) => {
      batch.elements('add', 'cluster-ips')
      put(batch, batch.element(4), '0a600001')
      batch.comment('x')
      batch.endElement()
      put(batch, batch.element(4), '0a60000a')
      batch.endElement()
    })
    expect(essence(ours)).toEqual(essence(sentOf('NFT_MSG_NEWSETELEM', 'cluster-ips')))
  })

  test('verdict map elements', () => {
    const ours = only((batch) => {
      batch.elements('add', 'service-ips')
      put(batch, batch.element(12), '0a6000010600000001bb0000')
      batch.verdict({ kind: 'goto', chain: 'svc-a' })
      batch.comment('default/kubernetes')
      batch.endElement()
    })
    expect(essence(ours)).toEqual(essence(sentOf('NFT_MSG_NEWSETELEM', 'service-ips')))
  })

  test('map elements', () => {
    const ours = only((batch) => {
      batch.elements('add', 'np2ip')
      put(batch, batch.element(8), '0a60000100500000')
      put(batch, batch.data(8), '0af400051f900000')
      batch.endElement()
    })
    expect(essence(ours)).toEqual(essence(sentOf('NFT_MSG_NEWSETELEM', 'np2ip')))
  })

  test('concatenated ranges', () => {
    const ours = only((batch) => {
      batch.elements('add', 'srcranges')
      put(batch, batch.element(16), '0a6000010600000001bb00000a000000')
      put(batch, batch.keyEnd(16), '0a6000010600000001bb00000affffff')
      batch.endElement()
    })
    expect(essence(ours)).toEqual(essence(sentOf('NFT_MSG_NEWSETELEM', 'srcranges')))
  })

  test('intervals', () => {
    const ours = only((batch) => {
      batch.elements('add', 'nets')
      const edges = [
        ['0a000000', false],
        ['0b000000', true],
        ['c0a80105', false],
        ['c0a8010a', true],
      ] as const
      for (const [key, end] of edges) {
        const at = batch.element(4)
        put(batch, at, key)
        if (end) batch.intervalEnd()
        batch.endElement()
      }
    })
    // The second of nft's two messages; its flags come before the key.
    const theirs = sent.filter(({ msg, hex }) => msg === 'NFT_MSG_NEWSETELEM' && hex.includes('6e657473')).at(-1)
    expect(keysAndFlags(ours)).toEqual(keysAndFlags(Buffer.from(theirs?.hex ?? '', 'hex')))
  })
})

const keysAndFlags = (message: Uint8Array): readonly unknown[] => {
  const messages = new MessageReader(message)
  messages.next()
  const out: unknown[] = []
  readElements(messages, (key, _end, _data, _comment, flags) => out.push([Buffer.from(key).toString('hex'), flags]))
  return out
}

const r = register
const server = [loadDaddr('ip', r(0)), meta('l4proto', r(1)), loadDport(r(2))]
const mark = (mask: string, xor: string): Expr => bitwise(r(0), r(0), Buffer.from(mask, 'hex'), Buffer.from(xor, 'hex'))
const rules: readonly (readonly [chain: string, nth: number, expressions: readonly Expr[], comment?: string])[] = [
  ['nat-pre', 0, [...server, vmap('service-ips', r(0))]],
  [
    'nat-pre',
    1,
    [
      fibType('daddr', r(0)),
      cmp('eq', r(0), hostU32(RTN_LOCAL)),
      payload('network', 16, 1, r(0)),
      cmp('neq', r(0), Uint8Array.of(127)),
      meta('l4proto', r(0)),
      loadDport(r(1)),
      vmap('nodeports', r(0)),
    ],
  ],
  [
    'svc-a',
    0,
    [
      loadDaddr('ip', r(0)),
      cmp('eq', r(0), Uint8Array.of(10, 96, 0, 1)),
      meta('l4proto', r(0)),
      cmp('eq', r(0), Uint8Array.of(6)),
      loadDport(r(0)),
      cmp('eq', r(0), netU16(443)),
      payload('network', 12, 2, r(0)),
      cmp('neq', r(0), Uint8Array.of(10, 244)),
      jump('mark-masq'),
    ],
  ],
  ['svc-a', 1, [numgen('random', 2, r(0)), vmap('__map%d', r(0))], 'lb'],
  ['svc-a', 2, [loadSaddr('ip', r(0)), member('aff-a', r(0)), goTo('ep-a')]],
  ['ep-a', 1, [loadSaddr('ip', r(0)), dynset('update', 'aff-a', r(0))]],
  [
    'ep-b',
    0,
    [
      meta('l4proto', r(0)),
      cmp('eq', r(0), Uint8Array.of(6)),
      counter,
      loadDaddr('ip', r(0)),
      loadDport(r(1)),
      mapTo('np2ip', r(0), r(0)),
      dnat('ip', r(0), r(1)),
    ],
  ],
  ['mark-masq', 0, [meta('mark', r(0)), mark('ffbfffff', '00400000'), metaSet('mark', r(0))]],
  ['nat-post', 0, [meta('mark', r(0)), mark('00400000', '00000000'), cmp('eq', r(0), hostU32(0)), returnFromChain]],
  ['nat-post', 1, [meta('mark', r(0)), mark('ffffffff', '00400000'), metaSet('mark', r(0))]],
  ['nat-post', 2, [masquerade(true)]],
  ['rej', 0, [rejectPort('ip')]],
  [
    'f-fwd',
    0,
    [
      ct('state', r(0)),
      bitwise(r(0), r(0), hostU32(ctState.new), hostU32(0)),
      cmp('neq', r(0), hostU32(0)),
      loadDaddr('ip', r(0)),
      member('cluster-ips', r(0)),
      jump('rej'),
    ],
  ],
  [
    'f-fwd',
    1,
    [
      ct('state', r(0)),
      bitwise(r(0), r(0), hostU32(ctState.established | ctState.related), hostU32(0)),
      cmp('neq', r(0), hostU32(0)),
      accept,
    ],
  ],
]

describe('rules', () => {
  for (const [chain, nth, expressions, comment] of rules) {
    test(`${chain}, rule ${nth}`, () => {
      const name = Buffer.from(`${chain}\0`, 'latin1')
      const theirs = sent
        .filter(({ msg }) => msg === 'NFT_MSG_NEWRULE')
        .map(({ hex }) => Buffer.from(hex, 'hex'))
        // Headers, table "kp", the header of the chain's attribute, its name.
        .filter((message) => message.subarray(32, 32 + name.length).equals(name))[nth]
      expect(theirs).toBeDefined()
      const ours = only((batch) => batch.addRule(chain, expressions, comment))
      expect(essence(ours)).toEqual(essence(theirs ?? new Uint8Array()))
    })
  }
})

describe('what the kernel answers', () => {
  const received = capture('nft-list').messages.filter(({ dir }) => dir === 'recv')
  const read = <T>(kind: string, of: (message: MessageReader) => T): readonly T[] =>
    received
      .filter(({ msg }) => msg === kind)
      .map(({ hex }) => {
        const messages = new MessageReader(Buffer.from(hex, 'hex'))
        messages.next()
        return of(messages)
      })

  test('table, chains, sets', () => {
    expect(read('NFT_MSG_NEWTABLE', readTable)).toEqual([
      { family: 'ip', name: 'kp', comment: 'rules for kube-proxy', handle: expect.any(BigInt) },
    ])
    const chains = read('NFT_MSG_NEWCHAIN', readChain)
    expect(chains.map(({ name, base }) => [name, base])).toEqual([
      ['nat-pre', true],
      ['nat-post', true],
      ['f-fwd', true],
      ['svc-a', false],
      ['ep-a', false],
      ['ep-b', false],
      ['mark-masq', false],
      ['rej', false],
    ])
    expect(chains.map(({ comment }) => comment)).toContain('mark chain')
    const sets = new Map(read('NFT_MSG_NEWSET', readSet).map((set) => [set.name, set]))
    expect(sets.get('service-ips')).toMatchObject({
      comment: 'ClusterIP',
      flags: 8,
      keyLength: 12,
      data: { kind: 'verdict' },
    })
    expect(sets.get('np2ip')).toMatchObject({ flags: 8, keyLength: 8, data: { kind: 'value', length: 8 } })
    expect(sets.get('aff-a')).toMatchObject({ comment: 'affinity', flags: 0x30, keyLength: 4, data: { kind: 'none' } })
    expect(sets.get('srcranges')).toMatchObject({ flags: 0x84, keyLength: 16 })
  })

  test('rules and generation', () => {
    const found = read('NFT_MSG_NEWRULE', readRule)
    expect(found.map(({ comment }) => comment).filter((comment) => comment !== undefined)).toEqual(['lb'])
    expect(found.filter(({ chain }) => chain === 'nat-post')).toHaveLength(4)
    expect(read('NFT_MSG_NEWGEN', readGeneration)).toEqual([2, 2])
  })

  test('elements', () => {
    const elements: unknown[] = []
    const hex = (value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
    read('NFT_MSG_NEWSETELEM', (message) =>
      readElements(message, (key, keyEnd, data, comment, flags) =>
        elements.push([hex(key), hex(keyEnd), hex(data), comment, flags]),
      ),
    )
    const none = undefined
    expect(elements).toContainEqual([
      '0a6000010600000001bb0000',
      none,
      { kind: 'goto', chain: 'svc-a' },
      'default/kubernetes',
      0,
    ])
    expect(elements).toContainEqual(['0a60000100500000', none, '0af400051f900000', none, 0])
    expect(elements).toContainEqual([
      '0a6000010600000001bb00000a000000',
      '0a6000010600000001bb00000affffff',
      none,
      none,
      0,
    ])
    expect(elements).toContainEqual(['0b000000', none, none, none, 1])
  })
})
