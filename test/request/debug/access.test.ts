import { type JWTPayload, SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createDebugAccess } from '../../../lib/request/debug/access.ts'
import { DEBUG_TOKEN_TYPE } from '../../../lib/request/debug/token.ts'
import { createSigner, type Signer } from '../../fixtures/signing.ts'

const verified = vi.hoisted(() => vi.fn())
vi.mock('jose', async (load) => {
  const jose = await load<typeof import('jose')>()
  return {
    ...jose,
    jwtVerify: (...given: Parameters<typeof jose.jwtVerify>) => {
      verified()
      return jose.jwtVerify(...given)
    },
  }
})

const START = Date.parse('2030-01-01T00:00:00Z')
let now = START
let signer: Signer

beforeAll(async () => {
  signer = await createSigner('ES256', 'debug')
})

beforeEach(() => {
  now = START
  verified.mockClear()
})

const clock = { now: () => now } as never
const create = (options = {}) => createDebugAccess({ trusted_keys: { keys: [signer.public_key] }, ...options }, clock)

async function sign(claims: JWTPayload): Promise<string> {
  const header = { alg: signer.alg, kid: signer.kid, typ: DEBUG_TOKEN_TYPE }
  return new SignJWT({ exp: START / 1000 + 600, ...claims })
    .setProtectedHeader(header as never)
    .sign(signer.private_key as never)
}

describe('a signed token', () => {
  it('is verified once, however many requests it comes with, and at once', async () => {
    const mayDebug = create()
    const token = await sign({})
    expect(await Promise.all(Array.from({ length: 50 }, () => mayDebug(token, 'a.test')))).toEqual(
      new Array(50).fill(true),
    )
    expect(mayDebug(token, 'a.test')).toBe(true)
    expect(verified).toHaveBeenCalledTimes(1)
  })

  it('is no longer good when its time is over, though it is remembered', async () => {
    const mayDebug = create()
    const token = await sign({})
    expect(await mayDebug(token, 'a.test')).toBe(true)
    now += 599_999
    expect(mayDebug(token, 'a.test')).toBe(true)
    now += 1
    expect(mayDebug(token, 'a.test')).toBe(false)
  })

  it('is good for its own host alone, remembered or not', async () => {
    const mayDebug = create()
    const token = await sign({ host: 'a.test' })
    expect(await mayDebug(token, 'b.test')).toBe(false)
    expect(await mayDebug(token, 'a.test')).toBe(true)
    expect(await mayDebug(token, 'b.test')).toBe(false)
  })

  it('must not be good for long', async () => {
    const mayDebug = create()
    expect(await mayDebug(await sign({ exp: START / 1000 + 24 * 3600 }), 'a.test')).toBe(true)
    expect(await mayDebug(await sign({ exp: START / 1000 + 25 * 3600 }), 'a.test')).toBe(false)
  })
})

describe('whoever makes tokens up', () => {
  const fake = async (index: number) => {
    const token = await sign({ jti: String(index) })
    return `${token.slice(0, -20)}${'A'.repeat(20)}`
  }

  it('has few of them verified, the same one once, and does not keep remembered ones out', async () => {
    const mayDebug = create()
    const good = await sign({})
    await mayDebug(good, 'a.test')
    const fakes = await Promise.all(Array.from({ length: 100 }, (_, index) => fake(index)))
    verified.mockClear()
    for (const token of [...fakes, ...fakes]) expect(await mayDebug(token, 'a.test')).toBe(false)
    expect(verified.mock.calls.length).toBeGreaterThan(0)
    expect(verified.mock.calls.length).toBeLessThan(40)
    expect(mayDebug(good, 'a.test')).toBe(true)
  })

  it.each([
    ['too long', () => `${'a'.repeat(600)}.${'b'.repeat(600)}.${'c'.repeat(86)}`],
    ['no JWS', () => 'abc'],
    ['a JWS without a signature', () => `${'a'.repeat(20)}.${'b'.repeat(20)}.`],
    ['a header that is no JSON', () => `${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(86)}`],
    ['another algorithm', () => `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.e30.${'c'.repeat(86)}`],
  ])('gets nothing verified that is %s', async (_what, make) => {
    expect(await create()(make(), 'a.test')).toBe(false)
    expect(verified).not.toHaveBeenCalled()
  })

  it('gets nothing verified where tokens are listed alone', async () => {
    const mayDebug = createDebugAccess({ tokens: ['0123456789abcdef'] }, clock)
    expect(mayDebug(await sign({}), 'a.test')).toBe(false)
    expect(mayDebug('0123456789abcdef', 'a.test')).toBe(true)
    expect(verified).not.toHaveBeenCalled()
  })
})
