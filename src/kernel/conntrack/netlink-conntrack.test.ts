import { describe, expect, it } from 'vitest'
import { flow } from '../../../test/support/flows.ts'
import type { Flow } from '../../model/flow.ts'
import type { Transport } from '../netlink/transport.ts'
import { MessageReader, Writer } from '../netlink/wire.ts'
import { deleteBody, writeTuple } from './flow-wire.ts'
import { NetlinkConntrack } from './netlink-conntrack.ts'

const { signal } = new AbortController()
const IPCTNL_MSG_CT_NEW = 0x100
const CTA_FILTER = 25
const [NLMSG_ERROR, NLMSG_DONE] = [2, 3]
const [EINTR, EOPNOTSUPP, EINVAL] = [4, 95, 22]

const entry = (writer: Writer, value: Flow): void => {
  const start = writer.message(IPCTNL_MSG_CT_NEW, 2, 1)
  deleteBody(value)(writer)
  writeTuple(writer, 2, value.family, value.protocol, value.target, value.source)
  writer.endMessage(start)
}

const status = (writer: Writer, type: number, errno: number): void => {
  const start = writer.message(type, 0, 1)
  const at = writer.reserve(type === NLMSG_ERROR ? 20 : 4)
  writer.view.setInt32(at, -errno, true)
  writer.endMessage(start)
}

/** A kernel: what it answers to each dump. */
class Kernel {
  /** Whether each request that came had a filter. */
  readonly filtered: boolean[] = []
  closed = 0
  readonly #answer: (filtered: boolean, attempt: number) => readonly ((writer: Writer) => void)[]

  constructor(answer: (filtered: boolean, attempt: number) => readonly ((writer: Writer) => void)[]) {
    this.#answer = answer
  }

  open = (): Transport => {
    let waiting: Uint8Array[] = []
    const send = (bytes: Uint8Array): void => {
      const messages = new MessageReader(bytes)
      messages.next()
      const attributes = messages.attributes(4)
      let filtered = false
      while (attributes.next()) if (attributes.type === CTA_FILTER) filtered = true
      this.filtered.push(filtered)
      waiting = this.#answer(filtered, this.filtered.length).map((write) => {
        const writer = new Writer()
        write(writer)
        return writer.finish()
      })
    }
    return {
      portId: 1,
      send,
      sendAsync: async (bytes) => send(bytes),
      receive: () => waiting.shift(),
      join: () => {},
      leave: () => {},
      close: () => {
        this.closed++
      },
    }
  }
}

const udp = flow('10.96.0.1:53', '10.0.0.1:53')
const tcp = flow('10.96.0.1:53', '10.0.0.1:53', { protocol: 'TCP' })
const other = flow('10.96.0.1:53', '10.0.0.2:53')

const read = async (table: NetlinkConntrack): Promise<readonly Flow[]> => {
  const found: Flow[] = []
  await table.flows({ family: 'IPv4', protocol: 'UDP' }, (each) => found.push(each.copy()), signal)
  return found
}

const everything = (writer: Writer): void => {
  for (const each of [tcp, udp]) entry(writer, each)
}
const rest = (writer: Writer): void => {
  entry(writer, other)
  status(writer, NLMSG_DONE, 0)
}

describe('a kernel that filters no dumps', () => {
  it('because it does not know the attribute, sends every protocol', async () => {
    const kernel = new Kernel(() => [everything, rest])
    expect(await read(new NetlinkConntrack(kernel.open))).toEqual([udp, other])
    expect([kernel.filtered, kernel.closed]).toEqual([[true], 1])
  })

  it.each([
    ['unsupported', EOPNOTSUPP],
    ['invalid', EINVAL],
  ] as const)('because that is %s, is asked for everything, and from then on at once', async (_, errno) => {
    const kernel = new Kernel((filtered) =>
      filtered ? [(writer) => status(writer, NLMSG_ERROR, errno)] : [everything, rest],
    )
    const table = new NetlinkConntrack(kernel.open)
    expect(await read(table)).toEqual([udp, other])
    expect(await read(table)).toEqual([udp, other])
    expect([kernel.filtered, kernel.closed]).toEqual([[true, false, false], 3])
  })

  it('because it has no ctnetlink, says so, and is asked the same the next time', async () => {
    const kernel = new Kernel(() => [(writer) => status(writer, NLMSG_ERROR, EINVAL)])
    const table = new NetlinkConntrack(kernel.open)
    for (let i = 0; i < 2; i++) await expect(read(table)).rejects.toMatchObject({ code: 'invalid', errno: EINVAL })
    expect(kernel.filtered).toEqual([true, false, true, false])
  })
})

describe('a dump that does not come to its end', () => {
  it('because something changed is begun again, and entries may come twice', async () => {
    const kernel = new Kernel((_, attempt) =>
      attempt === 1
        ? [
            everything,
            (writer) => {
              entry(writer, other)
              writer.view.setUint16(6, 0x12, true)
            },
          ]
        : [everything, rest],
    )
    expect(await read(new NetlinkConntrack(kernel.open))).toEqual([udp, udp, other])
  })

  it.each([
    ['in its last message', NLMSG_DONE, EINTR],
    ['by an error', NLMSG_ERROR, EINTR],
  ] as const)('%s, is a failure after what came', async (_, type, errno) => {
    const kernel = new Kernel(() => [everything, (writer) => status(writer, type, errno)])
    const found: Flow[] = []
    const reading = new NetlinkConntrack(kernel.open).flows(
      { family: 'IPv4', protocol: 'UDP' },
      (each) => found.push(each.copy()),
      signal,
    )
    await expect(reading).rejects.toMatchObject({ errno })
    expect(found).toEqual([udp])
    expect(kernel.closed).toBe(1)
  })
})
