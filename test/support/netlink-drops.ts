import { readFileSync } from 'node:fs'

/** linux/netlink.h */
const families = { route: 0, netfilter: 12 } as const

/**
 * Messages that netlink sockets of a process lost, by family: /proc/net/netlink. Its first socket has the process's number,
 * others have one that the kernel made up, and are taken for its own, whosever they are.
 */
export const drops = (pid: number, family: keyof typeof families): number =>
  readFileSync('/proc/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/ +/))
    .filter(([, number, port]) => Number(number) === families[family] && isOf(pid, Number(port)))
    .reduce((sum, columns) => sum + Number(columns[8]), 0)

const isOf = (pid: number, port: number): boolean => port === pid || port > 0x7fff_ffff
