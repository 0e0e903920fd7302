import { gunzipSync } from 'node:zlib'
import type { Difference, Outcome } from './compare.ts'

/** Where an app with plugins that change nothing does not answer as without them, and why. */
export interface Deviation {
  readonly reason: string
  /** The page that says so. */
  readonly documented: string
  /** Whether a difference is this one, and nothing else. */
  readonly covers: (name: string, difference: Difference) => boolean
}

const FILTERED = /^(sync|async)$/
const STREAMS = /stream|blob|response|file|^ctx\.res$|^respond false/
const WEB = /web stream|blob|response/
const BROKEN = /stream fails|stream is destroyed|missing file/

/** The app announces a length that is not the body's, and Node cuts the stream: behind a filter none is announced. */
const MISCOUNTED = 'respond false after a body'

/** All of them. A test holds that each is there still. */
export const DEVIATIONS: readonly Deviation[] = [
  {
    reason:
      'A body_filter may change any chunk of a stream: its length is not known before it is sent, and what tells of the ' +
      'unchanged body (ETag, Content-Encoding and the like) does not hold.',
    documented: 'docs/phases.md',
    covers: (name, { variant, plain, outcome }) =>
      FILTERED.test(variant) &&
      STREAMS.test(name) &&
      isSame(unframe(plain), unframe(name === MISCOUNTED ? { ...outcome, end: plain.end } : outcome)),
  },
  {
    reason: 'Koa 2 sends a web stream, Blob or Response as the JSON of it, `{}`. A body_filter gets its content.',
    documented: 'docs/phases.md',
    covers: (name, { koa, variant, plain, outcome }) =>
      koa === 'Koa 2' && FILTERED.test(variant) && WEB.test(name) && headOf(plain) === headOf(outcome),
  },
  {
    reason:
      'When the source of a stream fails, Koa 2 leaves the connection open. Behind a body_filter it is cut; what is being ' +
      'filtered then is not sent, and how often the error is reported differs.',
    documented: 'docs/phases.md',
    covers: (name, { variant, plain, outcome }) =>
      FILTERED.test(variant) &&
      BROKEN.test(name) &&
      (outcome.end === plain.end || !/^(end 0|hangs)/.test(outcome.end)) &&
      unframe(plain).bytes.startsWith(unframe(outcome).bytes) &&
      errorsOf(plain) === errorsOf(outcome),
  },
  {
    reason:
      'A page that a client has kept may be from before the plugin, or from an earlier version of it: behind a body_filter the ' +
      'app sees no condition, and sends the page in whole.',
    documented: 'docs/phases.md',
    covers: (name, { variant, plain, outcome }) =>
      FILTERED.test(variant) &&
      name === 'not modified' &&
      /\b304\b/.test(headOf(plain) ?? '') &&
      /\b200\b/.test(headOf(outcome) ?? ''),
  },
]

const errorsOf = ({ seen }: Outcome) => [...new Set(seen.filter((each) => each.startsWith('error')))].join()
const headOf = ({ bytes }: Outcome) => bytes.split(/\r\n|,/, 1)[0]
const isSame = (one: Outcome, other: Outcome) => JSON.stringify(one) === JSON.stringify(other)

const ABOUT_THE_BODY = /^(content-length|transfer-encoding|content-encoding|etag|last-modified): .*$/i

/** An outcome without what tells how long and in which form the body is. */
function unframe(outcome: Outcome): Outcome {
  if (outcome.bytes.startsWith('head ')) {
    const [head = '', ...data] = outcome.bytes.split('\n')
    const fields = JSON.parse(head.slice('head '.length))
    const body = fields['content-encoding'] === 'gzip' ? unzip(data.join('\n')) : data.join('\n')
    for (const name of ['content-length', 'content-encoding', 'etag', 'last-modified']) delete fields[name]
    return { ...outcome, bytes: `${JSON.stringify(fields)}\n${body}` }
  }
  const end = outcome.bytes.indexOf('\r\n\r\n')
  const lines = outcome.bytes.slice(0, end).split('\r\n')
  const sent = outcome.bytes.slice(end + 4)
  const body = lines.some((line) => /^transfer-encoding: chunked/i.test(line)) ? joinChunks(sent) : sent
  const isZipped = lines.some((line) => /^content-encoding: gzip/i.test(line))
  const head = lines.filter((line) => !ABOUT_THE_BODY.test(line)).join('\r\n')
  return { ...outcome, bytes: `${head}\r\n\r\n${isZipped ? unzip(body) : body}` }
}

function unzip(bytes: string): string {
  return gunzipSync(Buffer.from(bytes, 'latin1')).toString('latin1')
}

function joinChunks(text: string): string {
  let joined = ''
  for (let rest = text; rest !== ''; ) {
    const at = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, at), 16)
    if (!(length > 0)) break
    joined += rest.slice(at + 2, at + 2 + length)
    rest = rest.slice(at + 4 + length)
  }
  return joined
}
