import type { Kysely } from 'kysely'
import type { Fields, PluginKey } from '../../shared/changes.ts'
import type { Tables } from '../store/tables.ts'

/** Which version made each of these plugins what it is, when, and who published that; in their order. */
export async function findOrigins(
  db: Kysely<Tables>,
  plugins: readonly PluginKey[],
): Promise<readonly ({ version: number; at: Date; by: string | null } | undefined)[]> {
  if (plugins.length === 0) return []
  const rows = await db
    .selectFrom('version_plugin')
    .innerJoin('version', 'version.version', 'version_plugin.version')
    .leftJoin('account', 'account.id', 'version.created_by')
    .distinctOn(['version_plugin.domain', 'version_plugin.name', 'version_plugin.phase'])
    .select(['version_plugin.domain', 'version_plugin.name', 'version_plugin.phase'])
    .select(['version.version', 'version.created_at', 'account.name as by'])
    .where(({ eb, refTuple, tuple }) =>
      eb(
        refTuple('version_plugin.domain', 'version_plugin.name', 'version_plugin.phase'),
        'in',
        plugins.map(({ domain, name, phase }) => tuple(domain, name, phase)),
      ),
    )
    .orderBy('version_plugin.domain')
    .orderBy('version_plugin.name')
    .orderBy('version_plugin.phase')
    .orderBy('version_plugin.version', 'desc')
    .execute()
  const known = new Map(rows.map((row) => [textOf(row), row]))
  return plugins.map((plugin) => {
    const found = known.get(textOf(plugin))
    return found && { version: found.version, at: found.created_at, by: found.by }
  })
}

const textOf = ({ domain, name, phase }: PluginKey) => JSON.stringify([domain, name, phase])

/** What is live of a plugin, in short. */
export function describeLive(
  fields: Fields | null,
  origin: { version: number; at: Date; by: string | null } | undefined,
) {
  if (fields === null) return null
  const { enabled, mode, rollout } = fields as {
    enabled?: unknown
    mode?: unknown
    rollout?: { percent?: unknown } | null
  }
  const percent = rollout?.percent
  return {
    enabled: enabled !== false,
    mode: mode === 'shadow' ? ('shadow' as const) : ('live' as const),
    percent: typeof percent === 'number' ? percent : null,
    version: origin?.version ?? null,
    at: origin?.at ?? null,
    by: origin === undefined ? null : (origin.by ?? 'the studio'),
  }
}

/** Rows of one statement. */
const ROWS = 500

/** Writes down what a version made different. */
export async function noteChanged(
  transaction: Kysely<Tables>,
  version: number,
  changed: readonly (PluginKey & { readonly is_there: boolean })[],
): Promise<void> {
  for (let at = 0; at < changed.length; at += ROWS) {
    const rows = changed
      .slice(at, at + ROWS)
      .map(({ domain, name, phase, is_there }) => ({ version, domain, name, phase, is_there }))
    await transaction.insertInto('version_plugin').values(rows).execute()
  }
}
