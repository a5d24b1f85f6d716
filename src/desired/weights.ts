import type { Endpoint } from '../model/endpoint-slice.ts'

/** `Scheduling.weights`: endpoint IP, pod name, node name or zone → weight. */
export type Weights = ReadonlyMap<string, number> | undefined

const lookup = (weights: ReadonlyMap<string, number>, name: string | undefined): number | undefined =>
  name === undefined ? undefined : weights.get(name)

/** The most specific name wins: IP, then pod, then node, then zone. 1 when none is listed. */
export const weightOf = ({ ip, podName, nodeName, zone }: Endpoint, weights: Weights): number =>
  weights === undefined
    ? 1
    : (weights.get(ip) ?? lookup(weights, podName) ?? lookup(weights, nodeName) ?? lookup(weights, zone) ?? 1)
