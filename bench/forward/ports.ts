/** Everything is on 127.0.0.1 of a network namespace that nobody else uses. */
export const ports = {
  /** Several, so that the proxies do not run out of local ports towards one. */
  responders: [9001, 9002, 9003, 9004],
  sink: 9010,
  holder: 9020,
  haproxy: { web: 9100, bulk: 9101, idle: 9102 },
  weir: { web: 9200, bulk: 9201, idle: 9202 },
} as const
