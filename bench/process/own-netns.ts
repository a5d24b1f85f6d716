import { addNetns, deleteNetns } from './netns.ts'
import { type Operations, Worker } from './worker.ts'

/** Runs `use` with workers in a network namespace of its own, and takes all of that down. */
export const inOwnNetns = async <O extends Operations, T>(
  module: URL,
  name: string,
  use: (start: () => Worker<O>) => Promise<T>,
): Promise<T> => {
  const workers: Worker<O>[] = []
  await addNetns(name)
  try {
    return await use(() => {
      const worker = new Worker<O>(module, name)
      workers.push(worker)
      return worker
    })
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
    await deleteNetns(name)
  }
}
