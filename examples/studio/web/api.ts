import type { Finding } from '../shared/review.ts'

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
      throw new Problem(0, { title: 'the studio cannot be reached. What you typed is kept' })
    }
    if (response.status === 204) return undefined as T
    const answer = await response.json().catch((error) => {
      if (signal?.aborted) throw error
      // What answered with an error may be a proxy, in words of its own.
      if (!response.ok) return {}
      throw new Problem(0, { title: "the studio's response was cut off. Try again" })
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
