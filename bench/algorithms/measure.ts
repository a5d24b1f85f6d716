import { getHeapStatistics } from 'node:v8'
import { median } from '../stats.ts'
import type { Pick } from './naive.ts'
import { drive } from './service.ts'

const samples = 7

/** Median nanoseconds per pick, the counting of connections included, of `samples` runs of about `ms` each. */
export const nsPerPick = (pick: Pick, ms: number): number => {
  let count = 64
  for (;;) {
    const start = performance.now()
    drive(pick, count)
    const took = performance.now() - start
    if (took > ms / 2) break
    count = Math.ceil(count * Math.min(16, Math.max(2, ms / Math.max(took, 0.01))))
  }
  return median(
    Array.from({ length: samples }, () => {
      const start = performance.now()
      drive(pick, count)
      return ((performance.now() - start) * 1e6) / count
    }),
  )
}

/**
 * By how many bytes the heap grows per pick, over `count` picks: the least of three runs after one to warm up, because V8
 * itself allocates when it optimises. Nothing is collected meanwhile as long as the growth fits the young generation, which
 * algorithms.ts makes large. Throws without `--expose-gc`.
 */
export const bytesPerPick = (pick: Pick, count: number): number => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run with --expose-gc')
  drive(pick, count)
  const runs = Array.from({ length: 3 }, () => {
    gc()
    const before = getHeapStatistics().used_heap_size
    drive(pick, count)
    return (getHeapStatistics().used_heap_size - before) / count
  })
  return Math.min(...runs)
}
