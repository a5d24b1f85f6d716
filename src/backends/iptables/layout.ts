import type { ServiceState } from '../../model/desired.ts'
import { layoutWithSets } from './layout-ipset.ts'
import { layoutPlain } from './layout-plain.ts'
import type { LayoutContext } from './layout-scope.ts'
import type { ServiceLayout } from './layout-types.ts'

export type { LayoutContext } from './layout-scope.ts'

/** Everything that one service port needs in one family. Pure: equal states give equal rules, in equal order. */
export const layoutService = (state: ServiceState, context: LayoutContext): ServiceLayout =>
  context.settings.ipset ? layoutWithSets(state, context) : layoutPlain(state, context)
