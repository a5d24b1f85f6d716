/** What stands around a guest that is a node: the way to it, and programs that it starts on this machine. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { assertNever } from '../../src/model/assert-never.ts'
import { type Program, runOn, thisMachine } from './machine.ts'
import { bridge, type FromGuest, line, lineOf, readFromGuest, type ToGuest } from './uml-line.ts'

/** Makes the bridge around the guest in this network namespace; the device that the guest is to have. */
export const layTrunk = async (): Promise<string> => {
  const commands = [
    // Left to itself a bridge changes its address with its ports.
    `link add ${bridge} address 02:00:00:00:00:fe type bridge mcast_snooping 0`,
    'link add trunk type veth peer name trunk-far',
    `link set trunk-far master ${bridge} addrgenmode none up`,
    'link set trunk addrgenmode none up',
    // The guest takes no packets that are several in one.
    `link set ${bridge} gso_max_segs 1 addrgenmode none up`,
    `addr add ${line.outside}/${line.bits} dev ${bridge}`,
  ]
  await runOn(thisMachine, ['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` })
  return 'trunk'
}

/** Waits for the guest, and does what it says; resolves as soon as it may speak. */
export const serveGuest = async (): Promise<void> => {
  const server = createServer(serve)
  server.listen(line.port, line.outside)
  await once(server, 'listening')
}

const serve = (socket: Socket): void => {
  const programs = new Map<number, Program>()
  const tell = (message: ToGuest): void => void socket.write(lineOf(message))
  const start = ({ id, argv, collectErrors }: FromGuest & { readonly kind: 'start' }): void => {
    const program = thisMachine.start(argv, { collectErrors })
    programs.set(id, program)
    program.stdout.setEncoding('utf8').on('data', (text: string) => tell({ kind: 'output', id, text }))
    void program.ended.then((failure) => {
      programs.delete(id)
      tell({ kind: 'ended', id, failure })
    })
  }
  const lines = createInterface({ input: socket })
  // Of its end we hear otherwise.
  for (const end of [socket, lines]) end.on('error', () => {})
  lines.on('line', (text) => {
    const message = readFromGuest(text)
    switch (message.kind) {
      case 'start':
        start(message)
        break
      case 'input':
        programs.get(message.id)?.stdin.write(message.text)
        break
      case 'inputEnds':
        programs.get(message.id)?.stdin.end()
        break
      case 'kill':
        programs.get(message.id)?.kill()
        break
      default:
        assertNever(message, 'message')
    }
  })
}
