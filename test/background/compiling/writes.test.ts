import { describe, expect, it } from 'vitest'
import { parseCode } from '../../../lib/background/compiling/parser.ts'
import { findWrites, type Writes } from '../../../lib/background/compiling/writes.ts'

const find = (code: string): Writes => findWrites(parseCode(code).block, (name) => name === 'helper' || name === 'URL')
const BODY = ['content-type', 'content-length', 'transfer-encoding']

describe('code that changes nothing', () => {
  it.each([
    ``,
    `if (ctx.get('X-Token') !== params.token) exit(401, 'who is there?')`,
    `if (ctx.req.headers['x-token'] === undefined || ctx.headers.cookie?.includes('a=')) exit(403, null, { 'X-Why': 'x' })`,
    `const parts = ctx.path.split('/').filter((part) => part !== ''); log(parts.length, \`\${ctx.ip}\`)`,
    `const counts = {}; for (const part of ctx.path.split('/')) counts[part] = (counts[part] ?? 0) + 1; ctx.state.counts = counts`,
    `const seen = new Set(); seen.add(ctx.host); for (let i = 0; i < 3; i += 1) { if (seen.has(i)) break }`,
    `if (store.incr('n:' + ctx.ip, 1, 0, 60) > 100) exit(429)`,
    `function isBad(path) { return /^\\/x/.test(path) } if (isBad(ctx.request.path)) ctx.throw(404)`,
    `const answer = await fetch('http://policy.test/' + encodeURIComponent(ctx.path), { signal }); if (answer.status !== 200) exit(403)`,
    `try { JSON.parse(ctx.query.q ?? '{}') } catch { exit(400) } finally { log('done') }`,
    `const { a = 1, ...rest } = params; switch (ctx.method) { case 'GET': exit(200, a + Math.max(1, rest.b)) }`,
    `return String(chunk).replaceAll('a', (found) => found.toUpperCase())`,
  ])('%s', (code) => {
    expect(find(code)).toMatchObject({ writes: 'nothing', headers: [], kept: 0, checked: true })
  })
})

describe('code that may throw on purpose', () => {
  it.each([
    [`if (ctx.path === '/a') exit(403)`, false],
    [`ctx.set('X-A', JSON.stringify(params))`, false],
    [`try { decodeURIComponent(ctx.path) } catch { exit(400) }`, false],
    [`throw new Error('no')`, true],
    [`if (ctx.path === '/a') ctx.throw(404)`, true],
    [`ctx.assert(ctx.path === '/a', 404)`, true],
    [`ctx['throw'](404); ctx.set('X-A', '1')`, true],
    [`helper(ctx)`, true],
  ])('%s: %s', (code, throws) => {
    expect(find(code).throws).toBe(throws)
  })
})

describe('code that changes headers that it names, and nothing else', () => {
  it.each<[string, string[]]>([
    [`ctx.set('Access-Control-Allow-Origin', '*')`, ['access-control-allow-origin']],
    [`if (ctx.status === 404) ctx.response.append('X-A', ['1', ctx.path]); ctx.remove('X-B')`, ['x-a', 'x-b']],
    [`ctx.res.setHeader('X-A', 1); ctx['res']['removeHeader']('X-B')`, ['x-a', 'x-b']],
    [`ctx.type = 'html'; ctx.etag = 'x'`, ['etag', 'content-type']],
    [`ctx.vary('Origin'); ctx.response.attachment(ctx.path)`, ['content-disposition', 'vary', 'content-type']],
    [`if (ctx.cookies.get('a') === undefined) ctx.cookies.set('a', ctx.path)`, ['set-cookie']],
    [`const set = () => { ctx.set('X-A', '1') }; ctx.path.split('/').forEach(() => set())`, ['x-a']],
  ])('%s', (code, headers) => {
    expect(find(code)).toMatchObject({ writes: 'headers', headers })
  })
})

describe('code that changes other parts, and headers that it names', () => {
  it.each<[string, string[]]>([
    [`ctx.set('Date', 'x')`, ['date']],
    [`ctx.remove('Transfer-Encoding'); ctx.set('X-A', '1')`, ['x-a', 'transfer-encoding']],
    [`ctx.set('X-A', '1'); ctx.status = 201`, ['x-a', ...BODY]],
    [`if (ctx.path.startsWith('/old/')) ctx.path = ctx.path.slice(4)`, []],
    [`ctx.req.method = 'GET'; ctx.request.url = '/'; ctx.res.statusCode++`, []],
    [`ctx.redirect('/new')`, ['location', ...BODY]],
    [`ctx.status = 201`, BODY],
    [`ctx.body = 'text'; ctx.response.body += 'more'; ctx.body ??= { a: 1 }`, BODY],
    [`if (ctx.path === '/maintenance') say('back soon')`, BODY],
    [`[1, 2].forEach(say)`, BODY],
  ])('%s', (code, headers) => {
    // `say` as a callback: whoever calls it, it is the one.
    const expected = code.includes('forEach(say)')
      ? { writes: 'anything', headers: null }
      : { writes: 'anything', headers }
    expect(find(code)).toMatchObject(expected)
  })
})

describe('headers that somebody has to look at when the plugin has written them', () => {
  it.each<[string, number, boolean]>([
    [`ctx.set('X-A', '1'); ctx.append('X-B', params.b ?? \`\${ctx.path}\`); ctx.remove('X-C')`, 3, true],
    [`ctx.res.setHeader('X-A', 1 + 2); ctx.vary('X'); ctx.cookies.set('a', 'b')`, 3, true],
    [`ctx.status = 201; ctx.body = 'text'; say('more'); ctx.type = 'html'`, 0, true],
    [`ctx.redirect('/new'); ctx.attachment('a.txt')`, 2, true],
    [`ctx.url = '/new'`, 0, true],
    // An object may be another text whenever it is asked for one.
    [`ctx.res.setHeader('X-A', store.get('a'))`, 1, false],
    [`const a = []; ctx.set('X-A', a)`, 1, false],
    [`ctx.set('X-A', ctx.path === '/' ? 'a' : store.get('a'))`, 1, false],
    [`ctx.etag = store.get('a')`, 1, false],
    // These need not fit the body.
    [`ctx.length = 3`, 0, false],
    [`ctx.set('Content-Length', '3')`, 0, false],
    [`ctx.remove('Transfer-Encoding')`, 0, false],
    [`ctx.set('Trailer', 'X-A'); ctx.status = 201`, 1, false],
  ])('%s', (code, kept, checked) => {
    expect(find(code)).toMatchObject({ kept, checked })
  })
})

describe('code that may change anything', () => {
  it.each([
    // The context by another name.
    `const c = ctx; c.body = 1`,
    `let c; c = ctx; c.set('X', '1')`,
    `((c) => { c.body = 1 })(ctx)`,
    `const change = (c) => c.set('X', '1'); change(ctx)`,
    `const { set } = ctx; set('X', '1')`,
    `const { res } = ctx; res.setHeader('X', '1')`,
    `const { response: { res } } = ctx; res.end()`,
    `const all = [ctx]; all[0].body = 1`,
    `const all = { ctx }; all.ctx.body = 1`,
    `const o = { __proto__: ctx }; o.body = 1`,
    `const o = { __proto__: store.get('ctx') }; o.body = 1`,
    `class A { static c = ctx }; A.c.body = 1`,
    `function f(c = ctx) { c.body = 1 } f()`,
    `ctx.state.ctx = ctx`,
    `store.set('ctx', ctx)`,
    `throw ctx`,
    `return ctx`,
    `exit(200, ctx)`,
    `arguments[1].body = 1`,
    `(function () { this.body = 1 }).call(ctx)`,
    `with_(ctx)`,
    `ctx\`x\``,
    `for (const c of [ctx]) c.body = 1`,
    `const ctx = store.get('ctx'); ctx.body = 1`,
    `{ let ctx = { set() {} }; } ctx.set('X', '1')`,
    // Its parts.
    `const { req } = ctx; req.url = '/'`,
    `const r = ctx.response; r.body = 1`,
    `ctx.response.ctx.body = 1`,
    `ctx.req.res.setHeader('X', '1')`,
    `ctx.request.response.body = 1`,
    `ctx.req.headers = {}`,
    `ctx.headers['x-token'] = 'admin'`,
    `delete ctx.headers['x-token']`,
    `const { headers } = ctx.request; headers.x = '1'`,
    `ctx.response.get('Set-Cookie').push('a=1')`,
    `ctx.res.getHeader('Set-Cookie').push('a=1')`,
    `ctx.response.headers['set-cookie'].push('a=1')`,
    `ctx.body.destroy()`,
    `if (ctx.body) log('x')`,
    `ctx.socket.write('x')`,
    `ctx.app.emit('x')`,
    `ctx.session`,
    `ctx.render('x')`,
    `ctx.respond = false`,
    `ctx.res.end('x')`,
    // Names that are not in the text.
    `ctx['bo' + 'dy'] = 1`,
    `ctx[params.name] = 1`,
    `ctx[\`body\`] = 1`,
    `ctx[params.name]('X', '1')`,
    `ctx.set(params.name, '1')`,
    `ctx.set({ 'X-A': '1' })`,
    `ctx.set(...['X-A', '1'])`,
    `ctx['set.x'] = 1`,
    `ctx['req.url'] = 1`,
    // Others who may do it.
    `Object.assign(ctx, { body: 1 })`,
    `Reflect.set(ctx, 'body', 1)`,
    `Object.assign(store.get('ctx'), { body: 1 })`,
    `Object.defineProperty(params, 'x', {})`,
    `helper(ctx)`,
    `helper()`,
    `helper.body = 1`,
    `const h = helper; h()`,
    `new URL('http://a.test/')`,
    `params.change()`,
    `params.ctx.body = 1`,
    `store.get('ctx').body = 1`,
    `store.get('change')()`,
    `const { change } = params; change()`,
    `const c = store.get('ctx'); c.set('X', '1')`,
    `function f() {} f = store.get('change'); f()`,
    `let f = () => 1; f = store.get('change'); f()`,
    `const f = () => 1; { const f = store.get('change'); f() }`,
    `const o = { get: store.get('change') }; o.get()`,
    `[1].forEach(store.get('change'))`,
    `'a'.replace('a', store.get('change'))`,
    `JSON.stringify({}, store.get('change'))`,
    `ctx.state.change()`,
    `ctx.state.ctx.body = 1`,
    `ctx.get.constructor('return this')()`,
    `eval('ctx.body = 1')`,
    `new Function('c', 'c.body = 1')(1)`,
    `globalThis.current.body = 1`,
    `process.emit('x')`,
    `setTimeout(() => 1)`,
    `await import('node:http')`,
    `Promise.resolve().then(() => { ctx.status = 201 })`,
    `queueMicrotask(() => 1)`,
    `const f = () => 1; f\`x\``,
    `[ctx.body] = [1]`,
    `({ body: ctx.body } = { body: 1 })`,
    `for (ctx.body of [1]) break`,
    `ctx.body = new Response('x', { headers: { 'X-A': '1' } })`,
    `ctx.body = store.get('answer')`,
    `ctx.body = chunk`,
    `const r = ctx.res.setHeader('X-A', '1'); r.setHeader('X-B', '1')`,
    `unknown`,
    `using x = store.get('x')`,
  ])('%s', (code) => {
    expect(find(code)).toEqual({ writes: 'anything', headers: null, kept: 0, checked: false, throws: true })
  })

  it('is code too deep to go down in by calls, too', () => {
    const deep = `${'['.repeat(500)}ctx${']'.repeat(500)}`
    expect(find(`const x = ${deep}`)).toEqual({
      writes: 'anything',
      headers: null,
      kept: 0,
      checked: false,
      throws: true,
    })
  })
})
