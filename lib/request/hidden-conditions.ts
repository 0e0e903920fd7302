import type { Context } from 'koa'

/** Request headers by which an app sends a part of the body; it knows nothing of the filtered one. */
const OF_PARTS = ['range', 'if-range'] as const
/** Those by which it sends no body to who has it. With other methods than GET and HEAD they are about what is stored. */
const OF_COPIES = ['if-none-match', 'if-modified-since'] as const

/**
 * Takes away what asks for a part of the body, or for none: neither could be filtered.
 *
 * @returns what puts them back: whoever stands in front of dynacode may answer by them
 */
export function hideConditions({ req: { headers, method } }: Context): () => void {
  const names = method === 'GET' || method === 'HEAD' ? [...OF_PARTS, ...OF_COPIES] : OF_PARTS
  const hidden = names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]] as const]))
  for (const [name] of hidden) delete headers[name]
  return () => {
    for (const [name, value] of hidden) headers[name as 'range'] ??= value as string
  }
}
