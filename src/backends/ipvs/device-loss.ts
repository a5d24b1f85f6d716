import type { LinkLoss } from '../../kernel/route/interface-address.ts'
import type { IP } from '../../model/ip.ts'

/** What kube-ipvs0 has lost since the last look, by whomever. */
export class DeviceLoss {
  /** Addresses whose loss would be news: none that we are about to remove ourselves. */
  readonly bound = new Set<IP>()
  readonly #lost = new Set<IP>()
  #device: Exclude<LinkLoss['kind'], 'addresses'> | undefined

  add(loss: LinkLoss): void {
    if (loss.kind === 'addresses') for (const ip of loss.ips) this.#lost.add(ip)
    else this.#device = loss.kind
  }

  /** What of it is ours: `link` is the device itself. Asked once; then it is forgotten. */
  take(): 'link' | 'addresses' | undefined {
    const isOurs = this.#device !== undefined || [...this.#lost].some((ip) => this.bound.has(ip))
    const kind = this.#device === 'link' ? 'link' : 'addresses'
    this.#forget()
    return isOurs ? kind : undefined
  }

  /** A look is about to show what is there. */
  reset(): void {
    this.bound.clear()
    this.#forget()
  }

  #forget(): void {
    this.#lost.clear()
    this.#device = undefined
  }
}
