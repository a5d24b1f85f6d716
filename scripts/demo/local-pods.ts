import { type ChildProcess, fork } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Pod } from './manifests.ts'

const program = fileURLToPath(new URL('./pod.js', import.meta.url))

/** Starts a process for each pod and resolves when all of them listen. */
export const startPods = async (pods: readonly Pod[], port: number): Promise<readonly ChildProcess[]> =>
  Promise.all(
    pods.map(
      ({ name, ip }) =>
        new Promise<ChildProcess>((resolve, reject) => {
          const child = fork(program, [name, ip, String(port)], { execArgv: [] })
          child.once('message', () => resolve(child))
          child.once('exit', (code) => reject(new Error(`pod ${name} at ${ip} port ${port} ended with ${code}`)))
        }),
    ),
  )

/** `wanted` if it is free on every address of the machine, else another port that is. */
export const freePort = async (wanted = 0): Promise<number> => {
  const taken = await tryPort(wanted)
  return taken ?? (await tryPort(0)) ?? Promise.reject(new Error('no port is free'))
}

const tryPort = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host: '0.0.0.0', port }, () => {
      const address = server.address()
      const found = typeof address === 'object' ? address?.port : undefined
      server.close(() => resolve(found))
    })
  })
