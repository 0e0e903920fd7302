import { ROLES, type Role } from '../../shared/roles.ts'
import { Problem } from '../problem.ts'

/** By what somebody came in: what was begun by it ends with it. */
export interface Credential {
  /** `session:…`, `token:…`, or `studio`: what the studio was started with. */
  readonly id: string
  /** Null: it has no end of its own. */
  readonly expires_at: Date | null
}

/** Who asks: somebody who is signed in, or a program with a token. */
export interface Actor {
  /** The account; of a token, who made it. */
  readonly account_id: number
  readonly name: string
  readonly role: Role
  /** What a page has to send with every change; undefined for a token, which no browser sends by itself. */
  readonly csrf: string | undefined
  /** Undefined for the studio itself. */
  readonly credential?: Credential
}

/** The number of the token by which an actor came in; undefined for a person. */
export function tokenOf({ credential }: Actor): number | undefined {
  return credential?.id.startsWith('token:') ? Number(credential.id.slice('token:'.length)) : undefined
}

/** Whether a role may do what another may. */
export function includesRole(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

/** @throws Problem where it may not */
export function demandRole(actor: Actor, needed: Role): void {
  if (includesRole(actor.role, needed)) return
  throw new Problem(
    403,
    `this is for ${needed}s, and ${actor.name} is ${actor.role === 'author' ? 'an' : 'a'} ${actor.role}`,
  )
}
