/**
 * Connections as LVS counts them (ip_vs_bind_dest and ip_vs_unbind_dest in ip_vs_conn.c), with the overload flag that
 * follows from the thresholds (ip_vs_dest_update_overload in ip_vs_ctl.c).
 */
import { SchedulerError } from './scheduler-error.ts'
import { checkInt, type Server } from './server.ts'

/** How a connection counts. A template of a persistent service counts as neither. */
export type ConnectionState = 'active' | 'inactive'

/** A connection begins: `active` for TCP, whose first SYN makes it so, `inactive` for UDP. */
export const openConnection = (server: Server, state: ConnectionState): void => {
  if (state === 'active') server.active++
  else server.inactive++
  if (server.upperThreshold > 0 && server.active + server.inactive >= server.upperThreshold) server.overloaded = true
}

/** A connection ends, and was counted as `state` until now. */
export const closeConnection = (server: Server, state: ConnectionState): void => {
  if (state === 'active') server.active--
  else server.inactive--
  if (server.upperThreshold > 0 && server.active + server.inactive < recovered(server)) server.overloaded = false
}

/** One side has closed: FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT or LAST_ACK of TCP. */
export const deactivate = (server: Server): void => {
  server.active--
  server.inactive++
}

/** A connection that was closing is open again: its port was used once more. */
export const activate = (server: Server): void => {
  server.inactive--
  server.active++
}

/**
 * Changes the thresholds, which takes effect at once: the flag is set from `upper` connections, cleared below `lower`, and
 * stays as it was in between. Upper 0 switches the mechanism off; lower 0 means `upper - floor(upper / 4)`.
 *
 * @throws SchedulerError `out-of-range` when `lower` exceeds `upper`, or either is no C int
 */
export const setThresholds = (server: Server, upper: number, lower = 0): void => {
  checkInt('upper threshold', upper)
  checkInt('lower threshold', lower)
  if (lower > upper) throw new SchedulerError('out-of-range', 'thresholds', `lower ${lower} exceeds upper ${upper}`)
  server.upperThreshold = upper
  server.lowerThreshold = lower
  const total = server.active + server.inactive
  if (upper > 0 && total >= upper) server.overloaded = true
  else if (upper === 0 || total < recovered(server)) server.overloaded = false
}

const recovered = ({ upperThreshold, lowerThreshold }: Server): number =>
  lowerThreshold === 0 ? upperThreshold - (upperThreshold >> 2) : lowerThreshold
