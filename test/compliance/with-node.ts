import { nets } from '../flows/net.ts'
import { type Manifest, node } from '../flows/objects.ts'

/** Every cluster has our Node. */
export const withNode = (objects: readonly Manifest[]): readonly Manifest[] =>
  objects.some(({ kind }) => kind === 'Node') ? objects : [node(nets), ...objects]
