/** A metav1.Status, as errors are reported. */
export const statusObject = (code: number, reason: string, message: string, details: object = {}): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  details,
  code,
})

export const goneStatus = (message: string): object => statusObject(410, 'Expired', message)

/** k8s.io/apiserver/pkg/storage: NewTooLargeResourceVersionError. */
export const tooLargeStatus = (asked: number, current: number): object =>
  statusObject(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
