/** The Kubernetes object that a message is about. */
export interface ObjectRef {
  readonly kind: string
  readonly namespace: string | undefined
  readonly name: string
}

/** Something wrong with one object that the rest of the cluster must not feel. One log line and one count each. */
export interface Problem {
  readonly object: ObjectRef
  /** Where in the object, in kubectl's words: `spec.ports[1].nodePort`. */
  readonly field: string
  /** What is wrong and what was done instead, in one clause without a full stop. */
  readonly reason: string
}

export const objectName = ({ kind, namespace, name }: ObjectRef): string =>
  namespace === undefined ? `${kind} ${name}` : `${kind} ${namespace}/${name}`
