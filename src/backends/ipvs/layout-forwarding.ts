import type { ForwardingMethod } from '../../model/connections.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { Front, FrontKind } from './layout-fronts.ts'
import type { LayoutProblem } from './layout-types.ts'

export interface ForwardingPlan {
  readonly of: (kind: FrontKind) => ForwardingMethod
  readonly problems: readonly LayoutProblem[]
}

/**
 * Only masquerading changes ports (ipvsadm(8), -g and -i), so it is what servers get whose real servers have another port. The
 * whole server does then: half of its clients would be answered by addresses that they have not asked.
 */
export const forwardingOf = (state: ServiceState, fronts: readonly Front[]): ForwardingPlan => {
  const { forwarding } = state.connections
  if (forwarding === 'masquerade') return { of: () => 'masquerade', problems: [] }
  const { cluster, local, drained = [], port, nodePort } = state
  const other = [...cluster, ...local, ...drained].find((target) => target.port !== port)
  const reason = (what: string): readonly LayoutProblem[] => [
    {
      field: 'metadata.annotations[weir.dev/forwarding]',
      reason: `"${forwarding}" leaves the port as it is, ${what} masqueraded`,
    },
  ]
  if (other !== undefined) {
    const problems = reason(`but port ${port} of ${state.name} is ${other.port} of its endpoints, so it is`)
    return { of: () => 'masquerade', problems }
  }
  return {
    of: (kind) => (kind === 'nodePort' ? 'masquerade' : forwarding),
    problems: fronts.some(({ kind }) => kind === 'nodePort')
      ? reason(`but port ${port} of ${state.name} is NodePort ${nodePort}, so that one is`)
      : [],
  }
}
