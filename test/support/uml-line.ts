/**
 * What the guest and the machine around it say to each other over a connection of their own, a line of JSON each: the guest
 * starts programs outside.
 */

export type FromGuest =
  | { readonly kind: 'start'; readonly id: number; readonly argv: readonly string[]; readonly collectErrors: boolean }
  | { readonly kind: 'input'; readonly id: number; readonly text: string }
  | { readonly kind: 'inputEnds'; readonly id: number }
  | { readonly kind: 'kill'; readonly id: number }

export type ToGuest =
  | { readonly kind: 'output'; readonly id: number; readonly text: string }
  | { readonly kind: 'ended'; readonly id: number; readonly failure?: string | undefined }

/** Both ends are ours, so the type is taken on trust. */
export const readFromGuest = (line: string): FromGuest => JSON.parse(line) as FromGuest
export const readToGuest = (line: string): ToGuest => JSON.parse(line) as ToGuest
export const lineOf = (message: FromGuest | ToGuest): string => `${JSON.stringify(message)}\n`

/**
 * The guest has one device, `trunk`, as its kernel forgets interrupts that come at the same time from several. Everything that
 * is linked to the guest has a MAC address in it of its own, and a macvlan device. On this side a bridge leads to them.
 */
export const trunk = 'vec0'
export const bridge = 'around'

/** Where the line goes, link-local (RFC 3927). */
export const line = { outside: '169.254.9.1', inside: '169.254.9.2', bits: 30, port: 9009 } as const
