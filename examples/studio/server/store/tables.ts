import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import type { EditKind, SetState } from '../../shared/changes.ts'
import type { LastError, Summary } from '../../shared/fleet.ts'
import type { VersionKind } from '../../shared/review.ts'
import type { Role } from '../../shared/roles.ts'
import type { EnvironmentTables } from './environment-tables.ts'
import type { OidcTables } from './oidc-tables.ts'
import type { RolloutTables } from './rollout-tables.ts'
import type { TemplateTables } from './template-tables.ts'
import type { WebhookTables } from './webhook-tables.ts'

type Created = ColumnType<Date, never, never> & Generated<Date>
type Fields = Record<string, unknown>

export interface Tables extends EnvironmentTables, OidcTables, RolloutTables, TemplateTables, WebhookTables {
  account: {
    id: Generated<number>
    name: string
    role: Role
    password_hash: string
    active: Generated<boolean>
    /** Who made it a publisher, and when: for a time, it cannot agree to what that one proposes. */
    vouched_by: number | null
    vouched_at: Date | null
    /** Key of an authenticator app, in Base32; and one that was not confirmed yet. */
    totp_secret: string | null
    totp_pending: string | null
    /** The step of 30 seconds that the last code was of: one works once. */
    totp_step: number | null
    created_at: Created
  }
  invitation: {
    id: Generated<number>
    /** SHA-256 of the token in the link. */
    token_hash: string
    role: Role
    /** Whose password it sets anew; null: it makes an account. */
    account_id: number | null
    /** Whether it gives an account its role, rather than a password. */
    is_promotion: Generated<boolean>
    created_by: number | null
    /** The token by which it was made. */
    made_by_token: number | null
    /** Whether another publisher has to agree first, and who has. */
    needs_second: Generated<boolean>
    confirmed_by: number | null
    created_at: Created
    expires_at: Date
    used_at: Date | null
  }
  recovery_code: {
    account_id: number
    /** SHA-256 of the code. */
    code_hash: string
  }
  session: {
    token_hash: string
    account_id: number
    csrf: string
    created_at: Created
    expires_at: Date
  }
  api_token: {
    id: Generated<number>
    name: string
    token_hash: string
    role: Role
    created_by: number
    /** The token by which it was made: it ends with that. */
    made_by_token: number | null
    created_at: Created
    expires_at: Date | null
    used_at: Date | null
    revoked_at: Date | null
  }
  change_set: {
    id: Generated<number>
    name: string
    state: Generated<SetState>
    /** Grows with every change of it: whoever publishes says which one was looked at. */
    revision: Generated<number>
    created_by: number | null
    created_at: Created
    updated_at: Generated<Date>
    /** Who proposed it for publishing, and which revision; null: nobody has. */
    proposed_by: number | null
    proposed_at: Date | null
    proposed_revision: number | null
    proposed_message: string | null
    /** As which version it was published, and which one took it back. */
    version: number | null
    rolled_back_by: number | null
  }
  change_edit: {
    id: Generated<number>
    set_id: number
    kind: EditKind
    /** Empty where the edit is of no domain or plugin. */
    domain: string
    name: string
    phase: string
    /** As it was live when the change was begun, and as it is to be; JSON null: it is not there. */
    base: JSONColumnType<object>
    after: JSONColumnType<object>
    revision: Generated<number>
    updated_by: number | null
    updated_at: Generated<Date>
  }
  change_comment: {
    id: Generated<number>
    set_id: number
    account_id: number | null
    /** Name of the account or token, as it was then. */
    by: string
    text: string
    at: Created
  }
  /** Which plugins a version made different from the one before. */
  version_plugin: {
    version: number
    domain: string
    name: string
    phase: string
    is_there: boolean
  }
  version: {
    version: number
    kind: VersionKind
    message: string
    document: string
    /** As instances get it, where there is a key; made once, so that all studios serve the same bytes. */
    signed: string | null
    created_by: number | null
    /** Who agreed, where two persons are needed. */
    approved_by: number | null
    /** Of a rollback: the version that it brought back. */
    rolled_back_to: number | null
    created_at: Created
  }
  git_commit: {
    id: Generated<number>
    commit: string
    /** The version that has what this commit has; null for one that has nothing to be published. */
    version: number | null
    /** Why it is not live. */
    problem: string | null
    findings: JSONColumnType<object[]>
    created_at: Created
  }
  audit: {
    id: Generated<number>
    at: Created
    account_id: number | null
    /** Name of the account or token, as it was then. */
    actor: string
    action: string
    subject: string
    details: JSONColumnType<Fields>
  }
  instance: {
    id: string
    host: string
    pid: number
    /** By what it is reported: see Credential. */
    reported_by: string | null
    report: JSONColumnType<Fields>
    received_at: Generated<Date>
    /** Whether its last report said that it ends. */
    closed: Generated<boolean>
    /** What its last report said in short; null for one that an earlier studio took in. */
    summary: JSONColumnType<Summary> | null
    /** Its plugins that ran in shadow mode, as it counted them. */
    shadows: JSONColumnType<object[], string | undefined>
  }
  /** What each plugin did in the processes together, in one slot of `step` seconds; the fleet has no name. */
  activity: {
    domain: string
    name: string
    phase: string
    step: number
    /** Seconds since 1970, divided by `step`. */
    slot: number
    calls: number
    errors: number
    errors_closed: number
    exits: number
    buckets: number[]
  }
  /** The last error of each plugin. */
  plugin_error: {
    domain: string
    name: string
    phase: string
    at: Date
    host: string
    pid: number
    error: JSONColumnType<Omit<LastError, 'at'>>
  }
  /** How many processes ran which version, in each slot. */
  live_processes: {
    step: number
    slot: number
    version: string
    processes: number
  }
}
