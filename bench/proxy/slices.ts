import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import type { Tracker } from '../../src/track/tracker.ts'

/** Reads the slice of each Service as the tracker has it at the time of the call. Holds no object that may be replaced. */
export const sliceReaders = (tracker: Tracker): readonly (() => EndpointSlice)[] =>
  [...tracker.services()].map(({ key }) => () => {
    const [slice] = tracker.slicesOf(key)
    if (slice === undefined) throw new Error(`${key} has no slice`)
    return slice
  })
