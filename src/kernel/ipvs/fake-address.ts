import type { IP } from '../../model/ip.ts'

/**
 * Whether the kernel takes it for a real server on a node that has only addresses of single hosts: inet_addr_type for IPv4,
 * ipv6_addr_type for IPv6 (net/ipv4/fib_frontend.c, net/ipv6/addrconf_core.c).
 */
export const isRealServerAddress = (ip: IP): boolean => {
  if (!ip.includes(':')) {
    const first = Number.parseInt(ip, 10)
    // Multicast is 224.0.0.0/4. Of 0.0.0.0/8 all but the first are addresses as others (Linux 5.3).
    return ip !== '0.0.0.0' && (first < 224 || first >= 240) && ip !== '255.255.255.255'
  }
  // Unspecified, multicast ff00::/8, link-local fe80::/10, IPv4-mapped.
  return ip !== '::' && !/^(?:ff[0-9a-f]{2}|fe[89ab][0-9a-f]):/.test(ip) && !/^::ffff:[0-9a-f]+:[0-9a-f]+$/.test(ip)
}
