import { malformed } from '../netlink/error.ts'
import { type MessageReader, Reader } from '../netlink/wire.ts'
import { readComment } from './comment.ts'
import {
  NFGENMSG_LEN,
  NFT_SET_ELEM_CATCHALL,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_SET_ELEM_DATA,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_KEY_END,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_TIMEOUT,
  NFTA_SET_ELEM_USERDATA,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
} from './constants.ts'
import { type Verdict, verdictCode } from './verdict.ts'

/**
 * One element. `key`, `keyEnd` and byte `data` are views that are valid during the call. `flags`: INTERVAL_END 1,
 * CATCHALL 2 (its key is empty). `timeoutMs`: its own timeout, if it has one, not what is left of it.
 */
export type OnElement = (
  key: Uint8Array,
  keyEnd: Uint8Array | undefined,
  data: Uint8Array | Verdict | undefined,
  comment: string | undefined,
  flags: number,
  timeoutMs: number | undefined,
) => void

const noKey = new Uint8Array()

/** Every element of an NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. */
export const readElements = (message: MessageReader, onElement: OnElement): void => {
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type !== NFTA_SET_ELEM_LIST_ELEMENTS) continue
    const { bytes, start, end } = attributes
    const list = new Reader(bytes, start, end)
    // Two readers serve all elements of the message, because there may be hundreds of thousands in a dump.
    const element = new Reader(bytes, start, start)
    const inner = new Reader(bytes, start, start)
    while (list.next()) {
      element.rewind(list.start, list.end)
      readElement(element, inner, onElement)
    }
  }
}

const readElement = (element: Reader, inner: Reader, onElement: OnElement): void => {
  let key: Uint8Array | undefined
  let keyEnd: Uint8Array | undefined
  let data: Uint8Array | Verdict | undefined
  let comment: string | undefined
  let flags = 0
  let timeout: number | undefined
  while (element.next()) {
    switch (element.type) {
      case NFTA_SET_ELEM_KEY:
        key = readValue(element, inner)
        break
      case NFTA_SET_ELEM_KEY_END:
        keyEnd = readValue(element, inner)
        break
      case NFTA_SET_ELEM_DATA:
        data = readData(element, inner)
        break
      case NFTA_SET_ELEM_USERDATA:
        comment = readComment(element.value())
        break
      case NFTA_SET_ELEM_FLAGS:
        flags = element.u32be()
        break
      case NFTA_SET_ELEM_TIMEOUT:
        timeout = Number(element.u64be())
        break
      default:
        break
    }
  }
  if (key === undefined && (flags & NFT_SET_ELEM_CATCHALL) === 0) throw malformed('element without a key')
  onElement(key ?? noKey, keyEnd, data, comment, flags, timeout)
}

const readValue = (outer: Reader, inner: Reader): Uint8Array => {
  inner.rewind(outer.start, outer.end)
  while (inner.next()) if (inner.type === NFTA_DATA_VALUE) return inner.value()
  throw malformed('no value')
}

/** NFTA_SET_ELEM_DATA, or whatever else nests bytes or a verdict. */
export const readData = (outer: Reader, inner: Reader): Uint8Array | Verdict => {
  inner.rewind(outer.start, outer.end)
  while (inner.next()) {
    if (inner.type === NFTA_DATA_VALUE) return inner.value()
    if (inner.type === NFTA_DATA_VERDICT) return readVerdict(inner.nested())
  }
  throw malformed('no data')
}

const readVerdict = (attributes: Reader): Verdict => {
  let code: number | undefined
  let chain: string | undefined
  while (attributes.next()) {
    if (attributes.type === NFTA_VERDICT_CODE) code = attributes.s32be()
    else if (attributes.type === NFTA_VERDICT_CHAIN) chain = attributes.string()
  }
  switch (code) {
    case verdictCode.accept:
      return { kind: 'accept' }
    case verdictCode.drop:
      return { kind: 'drop' }
    case verdictCode.return:
      return { kind: 'return' }
    case verdictCode.goto:
    case verdictCode.jump:
      if (chain === undefined) throw malformed('verdict without a chain')
      return { kind: code === verdictCode.goto ? 'goto' : 'jump', chain }
    default:
      throw malformed(`verdict code ${code}`)
  }
}
