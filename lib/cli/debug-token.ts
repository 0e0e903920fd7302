import { normalizeHost } from '../matching/host-pattern.ts'
import { DEBUG_TOKEN_TYPE, LONGEST_DEBUG_TOKEN_MS } from '../request/debug/token.ts'
import type { PrivateKey } from '../tools/sign-document.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readPrivateKey } from './keys.ts'

interface DebugTokenOptions extends CommonOptions {
  readonly key: string
  readonly expires: string
  readonly host?: string
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** Adds `debug-token`. */
export const addDebugToken: AddCommand = (program, terminal, finish) => {
  program
    .command('debug-token')
    .summary('sign a token that shows what plugins did to a request')
    .description('Signs a token for the option debug_requests, and prints it.')
    .requiredOption('--key <file>', 'the private key, as keygen writes it')
    .option('--expires <time>', 'how long it is good, such as 30m; at most 24h', '1h')
    .option('--host <name>', 'the only host that it is for; any unless given')
    .action(async (_: unknown, command) => {
      const { key, expires, host, json } = command.optsWithGlobals() as DebugTokenOptions
      const until = Math.floor((Date.now() + readDuration(expires)) / 1000)
      const only = host === undefined ? undefined : normalizeHost(host)
      const token = await signToken(await readPrivateKey(key), key, until, only)
      const said = { token, expires: new Date(until * 1000).toISOString(), host: only ?? null }
      terminal.print(json ? JSON.stringify(said) : token)
      finish(0)
    })
}

async function signToken(key: PrivateKey, path: string, exp: number, host: string | undefined): Promise<string> {
  const { alg, kid } = key
  const claims = host === undefined ? { exp } : { exp, host }
  const header = { typ: DEBUG_TOKEN_TYPE, alg, ...(kid === undefined ? {} : { kid }) }
  const { SignJWT } = await import('jose')
  try {
    return await new SignJWT(claims).setProtectedHeader(header).sign(key)
  } catch {
    // jose's own message may show parts of the key.
    throw new Failure(`${path}: cannot sign with this key: expected one for EdDSA or ES256`)
  }
}

function readDuration(given: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smh])$/.exec(given) ?? []
  const duration_ms = Number(count) * (UNITS[unit] ?? Number.NaN)
  if (duration_ms > 0 && duration_ms <= LONGEST_DEBUG_TOKEN_MS) return duration_ms
  throw new Failure(`--expires: expected a time of at most 24h, such as 90s, 30m or 1h, got ${given}`)
}
