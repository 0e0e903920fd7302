import type { Context } from 'koa'
import { z } from 'zod'
import type { Version } from '../publishing/versions.ts'
import type { Slice } from '../review/tasks.ts'
import { GIVEN_NUMBER, NUMBER } from './schemas.ts'

const MESSAGE = z.string().trim().min(1, 'expected a message that says what changes').max(500)
/** What was looked at before it is published: `base` and `revision` as the review of the change set says them. */
export const SEEN = z.object({ message: MESSAGE, base: GIVEN_NUMBER, revision: GIVEN_NUMBER })
export const PUBLISHED = z.object({ version: z.int() })
/** From which one of a list on. */
export const AFTER = z.object({ from: NUMBER.default(0) })

/** Makes what sees to it that who has published finds it served when the answer comes. */
export function serveFirst(published: () => Promise<void>) {
  return async (made: Promise<Version>): Promise<Version> => {
    const version = await made
    await published()
    return version
  }
}

/** Says how many there are of what is answered in part. */
export function countAll<T>(ctx: Context, { items, total }: Slice<T>): readonly T[] {
  ctx.set('Total-Count', String(total))
  return items
}
