import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Middleware } from 'koa'

interface Page {
  readonly type: string
  readonly plain: Buffer
  readonly zipped: Buffer
  readonly etag: string
  readonly caching: string
}

/** Types are told by the server alone: browsers may not guess. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
}
/** What the build names after its content. */
const FOREVER = 'public, max-age=31536000, immutable'

/**
 * Serves the built pages from memory. Every address that is no file is a page's own, and gets `index.html`.
 *
 * @param folder that `npm run build` has made
 */
export async function servePages(folder: string): Promise<Middleware> {
  const pages = new Map<string, Page>()
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : []
  for (const file of files) {
    if (!file.isFile()) continue
    const path = join(file.parentPath, file.name)
    const address = `/${relative(folder, path).split(sep).join('/')}`
    pages.set(address, await readPage(path, address.startsWith('/assets/') ? FOREVER : 'no-cache'))
  }
  const index = pages.get('/index.html')

  return function pagesMiddleware(ctx, next) {
    if ((ctx.method !== 'GET' && ctx.method !== 'HEAD') || ctx.path.startsWith('/api/')) return next()
    // A script that an older page asks for is not there any more: a page in its place would only puzzle the browser.
    const page = pages.get(ctx.path) ?? (ctx.path.startsWith('/assets/') ? undefined : index)
    if (page === undefined) {
      ctx.status = index === undefined ? 503 : 404
      ctx.body = index === undefined ? 'The pages are not built yet: npm run build\n' : 'There is no such file\n'
      return undefined
    }
    ctx.set({ 'Cache-Control': page.caching, ETag: page.etag, Vary: 'Accept-Encoding' })
    ctx.status = 200
    if (ctx.fresh) {
      ctx.status = 304
      return undefined
    }
    ctx.type = page.type
    if (ctx.acceptsEncodings('gzip', 'identity') === 'gzip') {
      ctx.set('Content-Encoding', 'gzip')
      ctx.body = page.zipped
    } else ctx.body = page.plain
    return undefined
  }
}

async function readPage(path: string, caching: string): Promise<Page> {
  const plain = readFileSync(path)
  return {
    type: TYPES[extname(path)] ?? 'application/octet-stream',
    plain,
    zipped: await promisify(gzip)(plain, { level: 9 }),
    // Weak: the same for what is zipped and what is not.
    etag: `W/"${createHash('sha256').update(plain).digest('base64url')}"`,
    caching,
  }
}
