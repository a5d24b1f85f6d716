import type { Writer } from '../netlink/wire.ts'
import { NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE } from './constants.ts'

/** What a rule or an element of a verdict map says. */
export type Verdict =
  | { readonly kind: 'goto' | 'jump'; readonly chain: string }
  | { readonly kind: 'drop' | 'accept' | 'return' }

/** NF_* and NFT_* verdict codes. */
export const verdictCode = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const satisfies Record<
  Verdict['kind'],
  number
>

/** NFTA_DATA_VERDICT, as nested in element data and in immediates. */
export const writeVerdict = (writer: Writer, verdict: Verdict): void => {
  const nest = writer.nest(NFTA_DATA_VERDICT)
  writer.s32be(NFTA_VERDICT_CODE, verdictCode[verdict.kind])
  if (verdict.kind === 'goto' || verdict.kind === 'jump') writer.string(NFTA_VERDICT_CHAIN, verdict.chain)
  writer.endNest(nest)
}
