import { lookup as resolve } from 'node:dns'
import { request as request_plain } from 'node:http'
import { request as request_tls } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Where requests of the studio may go. */
export interface OutsideRules {
  /** Hosts, or hosts with a port, that may have a private address, and be asked without TLS: `chat.internal`, `10.0.0.5:8080`. */
  readonly private_hosts: readonly string[]
  /** For all of it, in milliseconds. */
  readonly timeout_ms: number
}

/** @returns what is wrong with an address; undefined: nothing that can be told by looking at it */
export function findUrlFault(text: string, { private_hosts }: Pick<OutsideRules, 'private_hosts'>): string | undefined {
  if (!URL.canParse(text)) return 'expected an address such as https://…'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'expected an address without a name and a password in it'
  const may_be_private = isListed(url, private_hosts)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && may_be_private)) return 'expected an https: address'
  const host = bareHost(url)
  if (isIP(host) !== 0 && !may_be_private && !isPublic(host)) return REFUSED
  return undefined
}

const REFUSED = 'expected a public address: this one is private, and WEBHOOK_PRIVATE_HOSTS does not have it'

/** What is sent. */
export interface OutsideRequest {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** What came back. */
export interface OutsideAnswer {
  readonly status: number
  /** Undefined where it was longer than was wanted. */
  readonly text: string | undefined
}

/**
 * Asks somebody outside. Redirects are not followed, and whatever the name means at that moment is looked at before anything is
 * connected to.
 *
 * @param largest so many bytes of the answer are read
 * @throws Error that says what went wrong, without the address
 */
export async function exchange(
  address: string,
  { method, headers, body = '' }: OutsideRequest,
  rules: OutsideRules,
  largest: number,
): Promise<OutsideAnswer> {
  const fault = findUrlFault(address, rules)
  if (fault !== undefined) throw new Error(fault)
  const url = new URL(address)
  const lookup = isListed(url, rules.private_hosts) ? {} : { lookup: lookupPublic }
  const signal = AbortSignal.timeout(rules.timeout_ms)
  const send = url.protocol === 'https:' ? request_tls : request_plain
  return new Promise((answer, refuse) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const late = `no answer within ${rules.timeout_ms / 1000} seconds`
      refuse(new Error(signal.aborted ? late : (error.code ?? error.message)))
    }
    const length = { 'content-length': String(Buffer.byteLength(body)) }
    const request = send(url, { method, headers: { ...headers, ...length }, signal, agent: false, ...lookup })
    request.on('error', fail)
    request.on('response', (response) => {
      const status = response.statusCode as number
      const parts: Buffer[] = []
      let read = 0
      response.on('data', (part: Buffer) => {
        parts.push(part)
        read += part.length
        if (read <= largest) return
        // What answers has answered: how long it goes on is of no interest.
        answer({ status, text: undefined })
        response.destroy()
      })
      response.on('error', fail)
      response.on('end', () => answer({ status, text: Buffer.concat(parts).toString() }))
      response.on('close', () => fail(new Error('the answer broke off')))
    })
    request.end(body)
  })
}

/** As `dns.lookup`, where every address that the name has is a public one. */
const lookupPublic: LookupFunction = (host, options, call) => {
  resolve(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return call(error, [])
    if (addresses.length === 0 || !addresses.every(({ address }) => isPublic(address))) {
      return call(new Error(REFUSED), [])
    }
    const [first] = addresses as [{ address: string; family: number }]
    return options.all ? call(null, addresses) : call(null, first.address, first.family)
  })
}

/** Whether an address is of the public Internet; IPv4 that is written as IPv6 is what it stands for. */
function isPublic(address: string): boolean {
  return ipaddr.process(address.split('%')[0] as string).range() === 'unicast'
}

function isListed(url: URL, hosts: readonly string[]): boolean {
  const known = hosts.map((host) => host.toLowerCase())
  return known.includes(url.host) || known.includes(bareHost(url))
}

/** Without the brackets of IPv6. */
function bareHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}
