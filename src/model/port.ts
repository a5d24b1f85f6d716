import type { Brand } from './brand.ts'

/** 1 to 65535. */
export type Port = Brand<number, 'Port'>

export const parsePort = (value: unknown): Port | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535 ? (value as Port) : undefined
