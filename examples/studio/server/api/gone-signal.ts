import type { Context } from 'koa'

/** Aborted when whoever asked has gone before there was an answer: nobody needs the work any more. */
export function goneSignal({ res }: Context): AbortSignal {
  const gone = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) gone.abort()
  })
  if (res.destroyed) gone.abort()
  return gone.signal
}
