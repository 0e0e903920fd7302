/** What somebody may do; each role may do what those before it may. */
export const ROLES = ['viewer', 'author', 'publisher'] as const
export type Role = (typeof ROLES)[number]

export interface Session {
  readonly name: string
  readonly role: Role
  readonly csrf: string
}

export interface Domain {
  readonly id: number
  readonly name: string
  readonly revision: number
  readonly plugins: number
}

export type Fields = Readonly<Record<string, unknown>>

export interface Plugin {
  readonly id: number
  readonly domain_id: number
  readonly domain?: string
  readonly name: string
  readonly phase: string
  readonly fields: Fields
  readonly revision: number
  readonly updated_at: string
}

/** A domain that is live. */
export interface LiveDomain {
  readonly id: number
  readonly name: string
  readonly plugins: number
  /** How many of its plugins are switched on. */
  readonly enabled: number
}

/** A plugin that is live. */
export interface LivePlugin {
  readonly id: number
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly enabled: boolean
  readonly mode: 'live' | 'shadow'
  readonly percent: number | null
}

/** What the draft says of the whole document. */
export interface General {
  readonly fields: Fields
  readonly revision: number
}

export interface Finding {
  readonly rule: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly message: string
  readonly plugin: string | null
  readonly domain: string | null
  readonly phase: string | null
  readonly path: string
  readonly line: number | null
  readonly column: number | null
}

export interface Difference {
  readonly kind: 'added' | 'removed' | 'changed'
  readonly domain: string | null
  readonly plugin: string | null
  readonly phase: string | null
  readonly changes: readonly string[]
  readonly code: { readonly before: string; readonly after: string } | null
}

/** What an API that looks at large documents says of them: the first of many, and how many there are. */
export interface Reviewed {
  /** Revision of the draft that was looked at. */
  readonly draft: number
  readonly differences: readonly Difference[]
  readonly differences_total: number
  /** Errors first. */
  readonly findings: readonly Finding[]
  readonly findings_total: number
  /** How many of the findings are errors. */
  readonly errors: number
}

export interface Draft extends Reviewed {
  /** The version that is live. */
  readonly base: number
}

export interface Version {
  readonly version: number
  readonly kind: string
  readonly message: string
  readonly created_by: string | null
  readonly created_at: string
}

/** What the API says is wrong. */
export class Problem extends Error {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly current: unknown
  readonly findings: readonly Finding[]

  constructor(
    status: number,
    body: { title?: string; fields?: Record<string, string>; current?: unknown; findings?: Finding[] },
  ) {
    super(body.title ?? `the studio answered with ${status}`)
    this.name = 'Problem'
    this.status = status
    this.fields = body.fields ?? {}
    this.current = body.current
    this.findings = body.findings ?? []
  }
}

/** The API, as somebody who is signed in uses it. */
export interface Api {
  get<T>(path: string, signal?: AbortSignal): Promise<T>
  send<T = void>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T>
}

/**
 * @param csrf what is sent with every change
 * @param ended told when the session is no longer known
 */
export function createApi(csrf: () => string, ended: () => void): Api {
  async function ask<T>(method: string, path: string, body: unknown, signal: AbortSignal | undefined): Promise<T> {
    let response: Response
    try {
      response = await fetch(`/api${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...(method === 'GET' ? {} : { 'X-CSRF-Token': csrf() }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal ?? null,
      })
    } catch (error) {
      if (signal?.aborted) throw error
      throw new Problem(0, { title: 'the studio cannot be reached; nothing you typed is lost' })
    }
    if (response.status === 204) return undefined as T
    const answer = await response.json().catch((error) => {
      if (signal?.aborted) throw error
      // What answered with an error may be a proxy, in words of its own.
      if (!response.ok) return {}
      throw new Problem(0, { title: 'the answer of the studio broke off' })
    })
    if (response.ok) return answer as T
    if (response.status === 401 && path !== '/session') ended()
    throw new Problem(response.status, answer)
  }
  return {
    get: (path, signal) => ask('GET', path, undefined, signal),
    send: (method, path, body, signal) => ask(method, path, body, signal),
  }
}

/** Writes what an address asks for; what is undefined or empty is left out. */
export function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}
