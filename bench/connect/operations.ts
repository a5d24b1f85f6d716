import type { Scene } from './scene.ts'

/** Addresses to connect to in a scene, taken in turn. */
export interface Route {
  readonly scene: Scene
  readonly destinations: readonly { readonly ip: string; readonly port: number }[]
}

/** What can be asked of worker.ts. */
export type ConnectOperations = {
  /** Microseconds of each connection, by route. Routes are taken in turn, `perRound` connections each time. */
  readonly connect: {
    readonly request: { readonly routes: readonly Route[]; readonly rounds: number; readonly perRound: number }
    readonly reply: readonly (readonly number[])[]
  }
}
