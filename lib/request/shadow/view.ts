import { createState, type RequestState } from '../run/state.ts'
import { attempt } from './attempt.ts'
import { copyContext } from './context.ts'
import { compare, describe, describeThrown } from './effects.ts'

/** A request as a plugin in shadow mode sees it: all of it is there, and nothing that is done to it counts. */
export interface ShadowView {
  readonly state: RequestState
  /** What the plugin did to its view, in words: `exit 403`, `set x-foo: bar`, `body: 120 → 98 bytes`, `threw …`. */
  effects(): string[]
}

/**
 * Makes the view: a Koa context of its own over copies of the request's head and parsed body, of the response's head, and of
 * `ctx.state`. Data in these is copied in all its depth; other objects are the same, so a plugin that changes one of them does
 * change it. Streams are not among them: to read, replace or end the request's body or the response's would do it for real.
 */
export function createShadowView({ ctx, chain, observed, record }: RequestState): ShadowView {
  const view = copyContext(ctx)
  const before = describe(view)
  const errors: unknown[] = []
  const state = createState(view, chain, observed, record, null, errors)

  return {
    state,
    effects: () => [
      ...(state.ending === null ? [] : [`exit ${state.ending.status}`]),
      ...(attempt(() => compare(before, describe(view))) ?? ['changed what has no text']),
      ...errors.map(describeThrown),
    ],
  }
}
