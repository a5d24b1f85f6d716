/** What is known of connections in service, in flat arrays; a slot is used again once its connection has ended. */
export class Slots {
  #free = new Int32Array(0)
  #unused = 0
  arrival = new Float64Array(0)
  server = new Int32Array(0)
  life = new Int32Array(0)

  take(arrival: number, server: number, life: number): number {
    if (this.#unused === 0) this.#grow()
    const slot = this.#free[--this.#unused] ?? 0
    this.arrival[slot] = arrival
    this.server[slot] = server
    this.life[slot] = life
    return slot
  }

  release(slot: number): void {
    this.#free[this.#unused++] = slot
  }

  #grow(): void {
    const before = this.server.length
    const after = Math.max(1024, 2 * before)
    const arrival = new Float64Array(after)
    arrival.set(this.arrival)
    this.arrival = arrival
    const server = new Int32Array(after)
    server.set(this.server)
    this.server = server
    const life = new Int32Array(after)
    life.set(this.life)
    this.life = life
    this.#free = new Int32Array(after)
    for (let slot = after - 1; slot >= before; slot--) this.#free[this.#unused++] = slot
  }
}
