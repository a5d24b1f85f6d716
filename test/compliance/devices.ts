import type { Place } from '../flows/net.ts'

/** The node's end of the link to a host: pods here are told from the others by its name. */
export const deviceOf = (place: Place): string => `${place.startsWith('pod') ? 'cali' : 'v'}-${place}`
