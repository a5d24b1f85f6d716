/**
 * Whether new connections avoid a real server of weight 0. `sh` and `mh` do with their fallback; `dh` has none and refuses
 * whoever its hash leads there, so that such a real server has to go at once.
 */
export const canDrain = (scheduler: string): boolean => scheduler !== 'dh'
