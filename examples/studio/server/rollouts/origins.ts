import type { Kysely } from 'kysely'
import type { PluginKey } from '../../shared/changes.ts'
import type { Tables } from '../store/tables.ts'

/** Versions do not change: what was found is remembered, the latest of it. */
const REMEMBERED = 5000

/** Finds which version has made a plugin what it is in another, later one; undefined for what no version has made. */
export type FindOrigin = (plugin: PluginKey, version: number) => Promise<number | undefined>

export function createOrigins(db: Kysely<Tables>): FindOrigin {
  const known = new Map<string, number>()
  return async ({ domain, name, phase }, version) => {
    const key = JSON.stringify([domain, name, phase, version])
    const found = known.get(key)
    if (found !== undefined) return found
    const row = await db
      .selectFrom('version')
      .leftJoin('version_plugin', (join) =>
        join
          .onRef('version_plugin.version', '<=', 'version.version')
          .on('version_plugin.domain', '=', domain)
          .on('version_plugin.name', '=', name)
          .on('version_plugin.phase', '=', phase),
      )
      .where('version.version', '=', version)
      .select(['version_plugin.version as origin', 'version_plugin.is_there'])
      .orderBy('version_plugin.version', 'desc')
      .limit(1)
      .executeTakeFirst()
    // What other studios publish is numbered by themselves.
    if (row === undefined || row.origin === null || row.is_there !== true) return undefined
    known.set(key, row.origin)
    for (const oldest of known.keys()) if (known.size > REMEMBERED) known.delete(oldest)
    return row.origin
  }
}
