import { type Machine, runOn, thisMachine } from './machine.ts'
import { isInGuest } from './uml-file.ts'
import { machineOutside } from './uml-inside.ts'
import { bridge, trunk } from './uml-line.ts'

export interface Link {
  /** The network namespace that is the host; its end of the link is `eth0`. */
  readonly netns: string
  /** The node's end. */
  readonly device: string
  readonly mac: { readonly node: string; readonly host: string }
}

/** Where the hosts of a scene are, and how the node is linked to them. */
export interface Surroundings {
  readonly machine: Machine
  /** Makes the network namespace and a link to it, down at the host's end. */
  link(link: Link): Promise<void>
  unlink(link: Link): Promise<void>
}

/** All commands in one process of ip(8), inside `netns` when one is named. The first that fails ends it. */
export const ipBatch = async (machine: Machine, commands: readonly string[], netns?: string): Promise<void> => {
  const inside = netns === undefined ? [] : ['-n', netns]
  await runOn(machine, ['ip', ...inside, '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

/** Around a node that is a network namespace. */
class AroundNamespace implements Surroundings {
  readonly machine = thisMachine

  async link({ netns, device, mac }: Link): Promise<void> {
    await ipBatch(this.machine, [
      `netns add ${netns}`,
      `link add ${device} address ${mac.node} type veth peer name eth0 address ${mac.host} netns ${netns}`,
      `link set ${device} addrgenmode none up`,
    ])
  }

  async unlink({ netns, device }: Link): Promise<void> {
    await ipBatch(this.machine, [`link del ${device}`, `netns del ${netns}`])
  }
}

/** Around a node that is a guest. */
class AroundGuest implements Surroundings {
  readonly machine: Machine

  constructor(machine: Machine) {
    this.machine = machine
  }

  async link({ netns, device, mac }: Link): Promise<void> {
    await ipBatch(this.machine, [
      `netns add ${netns}`,
      // The guest takes no packets that are several in one.
      `link add ${device} type veth peer name eth0 address ${mac.host} gso_max_segs 1 netns ${netns}`,
      `link set ${device} master ${bridge} addrgenmode none up`,
    ])
    await ipBatch(thisMachine, [
      `link add link ${trunk} name ${device} address ${mac.node} type macvlan mode private`,
      `link set ${device} addrgenmode none up`,
    ])
  }

  async unlink({ netns, device }: Link): Promise<void> {
    for (const machine of [thisMachine, this.machine]) await ipBatch(machine, [`link del ${device}`])
    await ipBatch(this.machine, [`netns del ${netns}`])
  }
}

let around: Promise<Surroundings> | undefined

/** Of the node that is the kernel and the network namespace of this process. */
export const surroundings = (): Promise<Surroundings> => {
  around ??= isInGuest()
    ? machineOutside().then((machine) => new AroundGuest(machine))
    : Promise.resolve(new AroundNamespace())
  return around
}
