import { z } from 'zod'
import { exchange, type OutsideRules } from '../outside/exchange.ts'
import { Problem } from '../problem.ts'

/** Another studio, and by what it is asked. */
export interface OtherStudio {
  readonly name: string
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string
}

/** Of a review, whose 200 differences have code. */
const LARGEST_ANSWER = 16 * 1024 * 1024
const PROBLEM = z.object({ title: z.string().max(500) })
const SESSION = z.object({ role: z.enum(['reporter', 'viewer', 'author', 'publisher']) })

/**
 * Asks another studio.
 *
 * @throws Problem that says what it says, in its name
 */
export async function askThere<T extends z.ZodType>(
  { name, url, token }: OtherStudio,
  rules: OutsideRules,
  method: 'GET' | 'POST',
  path: string,
  answer: T,
  body?: string,
): Promise<z.output<T>> {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json', ...type }
  const request = { method, headers, ...(body === undefined ? {} : { body }) }
  const { status, text } = await exchange(`${url}/api${path}`, request, rules, LARGEST_ANSWER).catch((error: Error) => {
    throw new Problem(502, `${name} cannot be reached: ${error.message}`)
  })
  const given = readJson(text)
  if (status < 200 || status > 299) {
    const said = PROBLEM.safeParse(given).data?.title ?? `it answered with ${status}`
    throw new Problem(status === 409 || status === 422 ? 409 : 502, `${name}: ${said}`)
  }
  const parsed = answer.safeParse(given)
  if (!parsed.success) throw new Problem(502, `${name} is no studio of this version: its answer cannot be read`)
  return parsed.data
}

/** What the token may there. @throws Problem for one that may not even propose */
export async function findRoleThere(other: OtherStudio, rules: OutsideRules): Promise<'author' | 'publisher'> {
  const { role } = await askThere(other, rules, 'GET', '/session', SESSION)
  if (role === 'author' || role === 'publisher') return role
  const fault = `expected a token of an author or a publisher there, got one of a ${role}`
  throw new Problem(422, `token: ${fault}`, { fields: { token: fault } })
}

function readJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
