import type { Acted } from '../../shared/actions.ts'
import type { Actor } from '../auth/actor.ts'
import { editSet, putEdit } from '../changes/edit-set.ts'
import { discardSet, findSet } from '../changes/sets.ts'
import { Problem } from '../problem.ts'
import type { Press } from '../publishing/press.ts'
import { proposeSet, publishSet } from '../publishing/publish-set.ts'
import type { PlacedPlugin } from './place-plugin.ts'

/** So often it is begun anew when somebody else has published meanwhile. */
const TRIES = 5

/**
 * Puts a plugin into a change set of its own, and publishes or proposes that. One that cannot be is discarded.
 *
 * @throws Problem as publishing does
 */
export async function releasePlaced(
  press: Press,
  actor: Actor,
  plugin: PlacedPlugin,
  message: string,
  proposes: boolean,
): Promise<Acted> {
  const set = await begin(press, actor, plugin, message)
  try {
    for (let tries = 1; ; tries += 1) {
      const [{ version: base }, { revision }] = [await press.documents.live(), await findSet(press.db, set)]
      const seen = { base, revision }
      try {
        if (proposes) return { version: null, set: await proposeSet(press, actor, set, message, seen) }
        const { version } = await publishSet(press, actor, set, message, seen)
        return { version, set: null }
      } catch (error) {
        const is_late =
          error instanceof Problem && error.status === 409 && (await press.documents.live()).version !== base
        if (!is_late || tries === TRIES) throw error
      }
    }
  } catch (error) {
    await discardSet(press.db, actor, set)
    throw error
  }
}

async function begin(press: Press, actor: Actor, plugin: PlacedPlugin, message: string): Promise<number> {
  const { domain, name, phase, fields } = plugin
  const known = await press.workspace.ask(undefined, { about: 'domain', domain })
  const was = known?.plugins.find((each) => each.name === name && each.phase === phase)
  const { set } = await editSet(press.db, actor, { name: message }, ['act', message], async (transaction, id) => {
    if (known === null) {
      const key = { kind: 'domain', domain, name: '', phase: '' } as const
      await putEdit(transaction, actor, id, { ...key, base: null, after: {} })
    }
    const key = { kind: 'plugin', domain, name, phase } as const
    await putEdit(transaction, actor, id, { ...key, base: was?.live ?? null, after: fields })
    return undefined
  })
  return set
}
