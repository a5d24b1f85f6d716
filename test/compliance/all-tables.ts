import { edges } from '../flows/edges.ts'
import { endpoints, topology } from '../flows/endpoints.ts'
import type { FlowTable } from '../flows/flow.ts'
import { masquerade } from '../flows/masquerade.ts'
import { nodePortAddresses } from '../flows/node-port-addresses.ts'
import { policies } from '../flows/policies.ts'
import { reach } from '../flows/reach.ts'
import { sourceRanges } from '../flows/source-ranges.ts'
import { ownership, unwanted } from '../flows/unwanted.ts'
import { weights } from '../flows/weights.ts'

/** Every table of test/flows, by its name. */
export const allTables = {
  reach,
  'NodePort addresses': nodePortAddresses,
  masquerade,
  policies,
  endpoints,
  topology,
  'source ranges': sourceRanges,
  unwanted,
  ownership,
  weights,
  edges,
} as const satisfies Readonly<Record<string, FlowTable>>

export type TableTitle = keyof typeof allTables
