import { BlockList, isIP, SocketAddress } from 'node:net'

/** A client's address, or a range of them where it has a prefix. */
interface Address {
  readonly address: string
  readonly prefix: number | undefined
  readonly family: 'ipv4' | 'ipv6'
}

/** Addresses whose answer is remembered: to look one up in the list costs microseconds. */
const REMEMBERED_ADDRESSES = 500

/** Reads an address or a range in CIDR notation; undefined when it is neither. */
export function readAddress(text: string): Address | undefined {
  const [, address = '', , prefix] = /^([^/]+)(\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  const bits = prefix === undefined ? undefined : Number(prefix)
  if (version === 0 || (bits !== undefined && bits > (version === 4 ? 32 : 128))) return undefined
  return { address, prefix: bits, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** Tells whether the client of a request has one of these addresses, or one in these ranges. */
export function createAddressTest(addresses: readonly string[]): (ctx: { readonly ip: string }) => boolean {
  // A block list is asked entry by entry: of thousands of addresses that would take hundreds of microseconds.
  const single = new Set<string>()
  const ranges = new BlockList()
  for (const text of addresses) {
    const { address: ip, prefix, family } = readAddress(text) as Address
    if (prefix === undefined) single.add(normalizeAddress(ip, family))
    else ranges.addSubnet(ip, prefix, family)
  }
  const remembered = new Map<string, boolean>()
  return (ctx) => {
    const { ip } = ctx
    const known = remembered.get(ip)
    if (known !== undefined) return known
    const version = isIP(ip)
    if (version === 0) return false
    const family = version === 4 ? 'ipv4' : 'ipv6'
    const found = single.has(normalizeAddress(ip, family)) || ranges.check(ip, family)
    if (remembered.size >= REMEMBERED_ADDRESSES) remembered.clear()
    remembered.set(ip, found)
    return found
  }
}

/** One text for one address: however it is written, and whichever kind of socket it came over. */
function normalizeAddress(ip: string, family: 'ipv4' | 'ipv6'): string {
  if (family === 'ipv4') return ip
  return new SocketAddress({ address: ip, family }).address.replace(/^::ffff:(?=[\d.]+$)/, '')
}
