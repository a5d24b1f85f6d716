import type { Protocol } from '../../model/protocol.ts'
import type { FlowTargets } from '../backend.ts'
import { claimsOf } from './claims.ts'
import type { DrainLedger } from './drain-ledger.ts'
import type { Laid } from './plan.ts'

/**
 * Where conntrack sees flows of a service port lead besides its endpoints. Real servers that answer clients themselves are in
 * no entry of conntrack; those that drain have what they had.
 */
export const conntrackTargets = (
  laid: Laid | undefined,
  protocol: Protocol,
  draining: Pick<DrainLedger, 'of'>,
): FlowTargets | undefined => {
  if (laid === undefined) return undefined
  if (laid.layout.elements.some(({ set }) => set === 'DIRECT')) return { kind: 'unknown' }
  if (protocol !== 'SCTP') return undefined
  const sockets = [...claimsOf(laid).keys()].flatMap((name) => draining.of(name))
  if (sockets.length === 0) return undefined
  return { kind: 'sockets', sockets: sockets.map(({ ip, port }) => ({ address: ip, port })) }
}
