import { createServer, type Server } from '../../src/algorithms/index.ts'
import type { VirtualServerId } from '../../src/kernel/ipvs/ipvs.ts'
import type { IP } from '../../src/model/ip.ts'
import { ip, port } from '../support/lvs.ts'
import { type Choice, one } from './choice.ts'
import type { Variant } from './variants.ts'

const servicePort = 80
const hex = (value: number): string => value.toString(16)

/** The addresses of one trial. None of another trial's are among them but clients. */
export interface Places {
  readonly key: VirtualServerId
  /** The firewall mark of its packets; 0 for none. */
  readonly mark: number
  readonly port: number
  /** What may be a real server at some time. */
  readonly candidates: readonly Server[]
  readonly clients: readonly [IP, ...IP[]]
  readonly destinations: readonly [IP, ...IP[]]
}

/** `number`: which trial it is, 1 to 249. */
export const placesOf = ({ by, family, protocol }: Variant, number: number, below: Choice): Places => {
  const four = family === 'IPv4'
  const vip = ip(four ? `198.51.100.${number}` : `2001:db8:5::${hex(number)}`)
  const client = (): IP =>
    ip(
      four
        ? `${11 + below(100)}.${below(256)}.${below(256)}.${below(256)}`
        : `2001:db8:${hex(below(0x10000))}::${hex(below(0x10000))}`,
    )
  const destination = (): IP =>
    ip(four ? `10.2.${number}.${below(256)}` : `2001:db8:7:${hex(number)}::${hex(below(0x10000))}`)
  return {
    key:
      by === 'mark'
        ? { kind: 'mark', family, mark: number }
        : { kind: 'address', ip: vip, protocol, port: servicePort },
    mark: by === 'mark' ? number : 0,
    port: servicePort,
    candidates: Array.from({ length: 8 }, (_, i) =>
      createServer({
        ip: ip(four ? `10.1.${number}.${i + 1}` : `fd00:1:${hex(number)}::${i + 1}`),
        port: port(8080 + (i % 3)),
      }),
    ),
    clients: several(60, client),
    destinations: by === 'mark' ? several(12, destination) : [vip],
  }
}

const several = (count: number, make: () => IP): readonly [IP, ...IP[]] => [
  make(),
  ...Array.from({ length: count - 1 }, make),
]

/** A server of the list, or undefined when it is empty. */
export const someServer = (servers: readonly Server[], below: Choice): Server | undefined => {
  const [first, ...rest] = servers
  return first && one([first, ...rest], below)
}
