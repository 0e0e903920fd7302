import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inspectTypes } from '../../lib/cli/inspect-types.ts'
import type { Document } from '../../lib/document.ts'
import type { Finding } from '../../lib/tools/finding.ts'
import { inspectDocument } from '../../lib/tools/inspect-document.ts'
import { createExpressionJudge } from '../../lib/tools/lint/expressions.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'
import { createSigner } from '../fixtures/signing.ts'

const documentOf = (...plugins: object[]) => ({
  domains: [{ name: '^shop$', plugins: plugins.map((plugin, index) => ({ name: `p${index}`, ...plugin })) }],
})

/** What is found in one plugin's code. */
async function inspect(phase: string, code: string, more: object = {}, globals: string[] = []): Promise<Finding[]> {
  const text = JSON.stringify(documentOf({ phase, code, ...more }))
  const { found } = await inspectDocument({ text, manifest: undefined }, globals)
  return found.map(({ finding }) => finding)
}

const rulesOf = (findings: readonly Finding[]) => findings.map(({ rule }) => rule)

describe('unknown names', () => {
  test.each([
    ["consol.log('x')", 'consol is not known. Did you mean `console`?', 1, 1],
    ['const a = 1\n\nreturn { a, b }', /^b is not known/, 3, 13],
    ['total = 1', /^total is not known/, 1, 1],
  ])('%j names one', async (code, message, line, column) => {
    const [first, ...rest] = await inspect('content', code)
    expect(first).toMatchObject({ rule: 'unknown-name', severity: 'error', line, column })
    expect(first?.message).toMatch(message)
    expect(rest).toEqual([])
  })

  test.each([
    'const { a: { b = 1 }, ...c } = params; say(b, c)',
    'outer: for (const x of [1]) { if (x) continue outer }',
    'class A { #p = 1; m() { return this.#p + new.target } } say(new A())',
    'try { say(1) } catch ({ message }) { say(message) }',
    "if (typeof flags !== 'undefined') say(flags.on)",
    'function f(x, ...rest) { return arguments.length + x + rest } say(f(1), { exitt: 1 }.exitt)',
    'const { signal: own } = { signal }; say(own.aborted, structuredClone(params), Buffer.from("a"))',
  ])('%j has none', async (code) => {
    expect(await inspect('content', code)).toEqual([])
  })

  test('are known when the app has them', async () => {
    expect(await inspect('content', 'say(flags.on)', {}, ['flags'])).toEqual([])
  })
})

describe('floating promises', () => {
  test.each([
    "fetch('http://a/')",
    "ctx.path === '/' && fetch('http://a/')",
    "fetch('http://a/').then((answer) => log(answer.status))",
    'async function f() {}\nf()',
    'const f = async () => {}\nf()',
    '(async () => {})()',
    '[1].forEach(async (x) => { await x })',
    'new Promise(() => {})',
    'Promise.all([])',
  ])('%j leaves one alone', async (code) => {
    expect(rulesOf(await inspect('content', code))).toEqual(['floating-promise'])
  })

  test.each([
    "await fetch('http://a/')",
    "void fetch('http://a/')",
    "fetch('http://a/').catch(() => {})",
    "fetch('http://a/').then(() => {}, () => {})",
    "const answer = fetch('http://a/')\nawait answer",
    'const fetch = () => 1\nfetch()',
    'Promise.resolve()',
  ])('%j leaves none alone', async (code) => {
    expect(await inspect('content', code)).toEqual([])
  })
})

describe('endless loops', () => {
  test.each([
    'while (true) say(1)',
    'for (;;) { switch (ctx.path) { case "/": break } }',
    'do { for (const x of [1]) break } while (!0)',
    'while (1) { const f = () => { return 1 }; f() }',
    'mine: for (;;) { for (;;) { continue mine } }',
  ])('%j has one', async (code) => {
    expect(rulesOf(await inspect('content', code))).toContain('endless-loop')
  })

  test.each([
    'while (true) { if (ctx.path) break }',
    'for (;;) { exit(403) }',
    'while (true) { return }',
    'while (true) ctx.throw(403)',
    'outer: for (const x of [1]) { for (;;) { if (x) continue outer } }',
    'outer: { for (;;) { break outer } }',
    'function* count() { let n = 0; while (true) yield n++ } say(count().next().value)',
    'while (params.on) say(1)',
  ])('%j has none', async (code) => {
    expect(await inspect('content', code)).toEqual([])
  })
})

describe('the phases', () => {
  test.each([
    ['log', "ctx.set('x', 'y')", /ctx\.set\(\) has no effect in the phase log/],
    ['log', 'ctx.status = 500', /ctx\.status has no effect in the phase log/],
    ['log', "ctx.response.body = 'x'", /ctx\.response\.body has no effect/],
    ['log', 'exit(403)', /exit has no effect in the phase log/],
    ['log', 'say(1)', /say has no effect in the phase log/],
    ['content', 'log(chunk)', /chunk has no effect in the phase content: it is for body_filter/],
    ['body_filter', 'say(1)', /say has no effect in the phase body_filter/],
    ['access', 'ctx.status = 403', /does not stop the app from answering in the phase access/],
  ])('%s: %j is reported', async (phase, code, message) => {
    const findings = await inspect(phase, code)
    expect(rulesOf(findings)).toEqual(['wrong-phase'])
    expect(findings[0]?.message).toMatch(message)
  })

  test.each([
    ['log', 'log(ctx.status, ctx.body, ctx.get("x"))'],
    ['header_filter', "ctx.set('x', 'y'); ctx.status = 200"],
    ['content', 'ctx.body = 1'],
    ['body_filter', 'return last ? chunk : ""'],
    ['log', 'const last = 1; log(last, { exit: 1 })'],
  ])('%s: %j is fine', async (phase, code) => {
    expect(await inspect(phase, code)).toEqual([])
  })
})

describe('guarded rollouts', () => {
  const rollout = { percent: 10, stop_when: { error_rate: 0.1 } }

  test('are noted where the plugin is in shadow mode', async () => {
    const fields = { mode: 'shadow' }
    const findings = await inspect('access', 'exit(403)', { rollout, ...fields })
    expect(rulesOf(findings)).toEqual(['guarded-rollout'])
    const message = expect.stringMatching(/no effect in shadow mode/)
    expect(findings[0]).toMatchObject({ severity: 'note', message })
    expect(await inspect('access', 'exit(403)', { ...fields, rollout: { percent: 10 } })).toEqual([])
  })

  test.each([
    ['after the last step has begun', '2030-01-01T02:00:01Z', []],
    ['when the last step begins', '2030-01-01T02:00:00Z', ['step of 100 percent, which begins at 2030-01-01T02:00:00']],
    ['in the first step', '2030-01-01T00:30:00Z', ['step of 10 percent, which begins at 2030-01-01T01:00:00.000Z']],
  ])('are warned of where the plugin expires before they are through: %s', async (_, expires_at, messages) => {
    const steps = [{ percent: 1, for: '1h' }, { percent: 10, for: '1h' }, { percent: 100 }]
    const fields = { starts_at: '2030-01-01T00:00:00Z', expires_at, rollout: { steps } }
    const findings = await inspect('log', 'log(1)', fields)
    expect(rulesOf(findings)).toEqual(messages.map(() => 'guarded-rollout'))
    expect(findings.map(({ message }) => message)).toEqual(messages.map((text) => expect.stringContaining(text)))
  })

  test('are errors where the plugin fails closed', async () => {
    const fields = { on_failure: 'closed' }
    const findings = await inspect('access', 'exit(403)', { rollout, ...fields })
    const message = expect.stringMatching(/every request passes without the plugin/)
    expect(findings).toMatchObject([{ rule: 'document', severity: 'error', message }])
    expect(await inspect('access', 'exit(403)', { ...fields, rollout: { percent: 10 } })).toEqual([])
  })

  test('are nothing to note elsewhere', async () => {
    expect(await inspect('content', 'say(1)', { rollout })).toEqual([])
  })
})

describe('units', () => {
  const unit = (name: string, ...units: string[]) => ({
    name,
    plugins: units.map((unit, at) => ({ name: `p${at}`, phase: 'content', code: 'say(1)', unit })),
  })
  const notes = async (...domains: object[]) => {
    const { found } = await inspectDocument({ text: JSON.stringify({ domains }), manifest: undefined })
    const findings = found.map(({ finding }) => finding).filter(({ rule }) => rule === 'unit')
    return findings.map(({ rule, severity, domain, message }) => ({ rule, severity, domain, message }))
  }
  const note = { rule: 'unit', severity: 'note' }

  test('of one plugin are noted: the name may be misspelled', async () => {
    expect(await notes(unit('a', 'checkout', 'checkout', 'chekout'))).toEqual([
      { ...note, domain: 'a', message: expect.stringMatching(/^the unit "chekout" has no other plugin/) },
    ])
  })

  test('of one name in several domains are noted: they change each by itself', async () => {
    expect(await notes(unit('a', 'x', 'x'), unit('b', 'x', 'x'))).toEqual([
      { ...note, domain: 'b', message: expect.stringMatching(/^the unit "x" is not that of a/) },
    ])
  })

  test('are nothing to note elsewhere', async () => {
    expect(await notes(unit('a', 'x', 'x'), unit('b', 'y', 'y'))).toEqual([])
  })
})

describe('plugins that fail open', () => {
  test.each(['exit(403)', 'exit(params.status)', 'ctx.throw(401)', 'if (!ctx.get("x")) exit(302)'])(
    '%j does, unless the document says how it fails',
    async (code) => {
      expect(rulesOf(await inspect('access', code))).toEqual(['fails-open'])
      expect(await inspect('access', code, { on_failure: 'closed' })).toEqual([])
      expect(await inspect('access', code, { on_failure: 'open' })).toEqual([])
      expect(await inspect('content', code)).toEqual([])
    },
  )

  test('are none when all they do is answer', async () => {
    expect(await inspect('access', "exit(200, 'fine')")).toEqual([])
  })
})

describe('regular expressions', () => {
  test('that take exponential time are errors, also in conditions and hosts', async () => {
    const [inCode] = await inspect('content', 'say(/^(a+)+$/.test(ctx.path))')
    expect(inCode).toMatchObject({ rule: 'slow-expression', severity: 'error', column: 5 })
    const [made] = await inspect('content', "say(new RegExp('^(a|a)*$', 'i'))")
    expect(made).toMatchObject({ rule: 'slow-expression', severity: 'error' })
    const [inCondition] = await inspect('content', '', { when: { not: { user_agent: { regex: '^(a+)+$' } } } })
    expect(inCondition).toMatchObject({ rule: 'slow-expression', plugin: 'p0', line: null })
    const text = JSON.stringify({ domains: [{ name: '^(a+)+$', plugins: [] }] })
    const { found } = await inspectDocument({ text, manifest: undefined })
    expect(found[0]?.finding).toMatchObject({ rule: 'slow-expression', domain: '^(a+)+$' })
  })

  test('that take polynomial time are warnings', async () => {
    expect(await inspect('content', 'say(/\\s+$/.test(ctx.path))')).toMatchObject([{ severity: 'warning' }])
  })

  test.each(['^\\/api\\/v[0-9]+$', 'a*', '[)(|]+', 'x\\(+', '^(?:bot|crawler)[^)]*$'])(
    'such as %s are none',
    async (source) => {
      expect(await inspect('content', `say(/${source}/.test(ctx.path))`)).toEqual([])
    },
  )

  test('are not asked about where they are plain, and are where they are not', async () => {
    const asked: string[] = []
    const judge = createExpressionJudge(async () => ({
      check: async (source) => {
        asked.push(source)
        return { status: 'safe' } as never
      },
    }))
    for (const source of ['abc', 'a?b', '^a+b', '[a)(]+', 'a+$', '^a+b+', '(a)+', '^a|b+c', 'x{2,}', '^[^"]*"']) {
      await judge.judge(source, '')
    }
    await judge.judge('^a+b', 'm')
    expect(asked).toEqual(['a+$', '^a+b+', '(a)+', '^a|b+c', 'x{2,}', '^a+b'])
  })

  test('are not checked without recheck, and it is said how to have them checked', async () => {
    const text = JSON.stringify(documentOf({ phase: 'content', code: 'say(/(a+)+/)' }))
    const judge = createExpressionJudge(async () => {
      throw new Error('not found')
    })
    const { found } = await inspectDocument({ text, manifest: undefined }, [], judge)
    expect(found).toMatchObject([
      { finding: { severity: 'note', message: expect.stringMatching(/npm install --save-dev recheck/) } },
    ])
  })
})

describe('dynacode check', () => {
  test('says nothing of a sound document, and ends with 0', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': documentOf({ phase: 'content', code: "say('hi')" }) })
    const called = await callCommand('check', join(folder, 'a.json'))
    expect(called).toEqual({ exit_code: 0, output: '1 plugin checked: no problems found', errors: '' })
  })

  test('shows the file and the line of a mistake, and ends with 1', async () => {
    const folder = makeFolder()
    const plugins = [{ name: 'hello', phase: 'content', file: 'hello.js' }, 1]
    const shared = [{ id: 1, name: 'ab', phase: 'log', variants: [{ name: 'b', percent: 100, file: 'b.ts' }] }]
    writeFiles(folder, {
      'dynacode.json': { domains: [{ name: '^shop$', plugins }], plugins: shared },
      'hello.js': "const x = 1\nsayy('hi')\n",
      'b.ts': 'const n: number = 1\nlog(n, missing)\n',
    })
    const { exit_code, output } = await callCommand('check', folder)
    expect(exit_code).toBe(1)
    expect(output.split('\n')).toEqual([
      'hello.js:2:1 error unknown-name (hello, content, ^shop$)',
      '  sayy is not known. Did you mean `say`?',
      '    1 | const x = 1',
      "  > 2 | sayy('hi')",
      '      | ^',
      '    3 |',
      '',
      'b.ts:2:8 error unknown-name (ab/b, log, ^shop$)',
      '  missing is not known; if the app provides it, name it with --globals missing',
      '    1 | const n: number = 1'.replace(': number', '        '),
      '  > 2 | log(n, missing)',
      '      |        ^',
      '    3 |',
      '',
      '2 plugins checked: 2 errors',
    ])
    expect((await callJson('check', folder, '--allow', 'unknown-name')).findings).toEqual([])
  })

  test('finds what does not compile, is no plugin, or has a condition that is none', async () => {
    const folder = makeFolder()
    writeFiles(folder, {
      'a.json': documentOf(
        { phase: 'content', code: "say('hi'" },
        { phase: 'content', code: "ngx.say('hi')\nlocal x = 1" },
        { phase: 'contents', code: '' },
        { phase: 'content', code: '', when: { path: '/' } },
      ),
    })
    const { findings, errors } = await callJson('check', join(folder, 'a.json'))
    expect(errors).toBe(4)
    expect(findings).toMatchObject([
      { rule: 'compile', plugin: 'p0', line: 1, path: 'domains[0].plugins[0]' },
      { rule: 'compile', plugin: 'p1', message: expect.stringMatching(/Lua/) },
      {
        rule: 'document',
        plugin: 'p2',
        path: 'domains[0].plugins[2].phase',
        message: expect.stringMatching(/^expected one of/),
      },
      {
        rule: 'document',
        plugin: 'p3',
        path: 'domains[0].plugins[3].when.path',
        message: 'unknown field. Did you mean `paths`?',
      },
    ])
  })

  test('says where text is no JSON, and what of the frame is wrong', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'a.json': '{\n  "domains": [}\n', 'b.json': { domain: [] } })
    const broken = await callCommand('check', join(folder, 'a.json'))
    expect(broken.exit_code).toBe(1)
    expect(broken.output).toContain('a.json:2:15 error document\n  not valid JSON: expected a value, got "}"')
    const frameless = await callCommand('check', join(folder, 'b.json'))
    expect(frameless).toMatchObject({
      exit_code: 1,
      output: expect.stringContaining('domain error document\n  unknown field. Did you mean `domains`?'),
    })
  })

  test('tells which hosts lua-resty-dynacode matches otherwise, as a note', async () => {
    const folder = makeFolder()
    const domains = ['a.com', '*', '*.a.com', '[::1]', '^b$'].map((name) => ({ name, plugins: [] }))
    writeFiles(folder, { 'a.json': { domains, general: { skip_domains: ['b.com', '^c$', '*'] } } })
    const { findings, notes } = await callJson('check', join(folder, 'a.json'))
    expect(notes).toBe(3)
    expect(findings.map(({ domain, rule }: Finding) => [domain, rule])).toEqual(
      [null, 'a.com', '*.a.com'].map((name) => [name, 'host-matching']),
    )
    expect((await callCommand('check', join(folder, 'a.json'))).exit_code).toBe(0)
  })

  test('looks at a shared plugin once, however many domains have it', async () => {
    const folder = makeFolder()
    const domains = ['^a$', '^b$'].map((name) => ({ name, plugins: [1] }))
    writeFiles(folder, { 'a.json': { domains, plugins: [{ id: 1, name: 'x', phase: 'content', code: 'sayy(1)' }] } })
    expect(await callJson('check', join(folder, 'a.json'))).toMatchObject({ plugins: 2, errors: 1 })
  })

  test('opens what is signed, and reads what an API has', async () => {
    const api = await startPluginApi()
    const signed = await (await createSigner()).sign(documentOf({ phase: 'content', code: 'sayy(1)' }))
    api.behave((_, response) => void response.end(signed))
    expect(await callJson('check', api.uri)).toMatchObject({ plugins: 1, errors: 1 })
  })
})

describe('dynacode check fails with one sentence and 2', () => {
  test('when there is nothing to read', async () => {
    const folder = makeFolder()
    const { exit_code, errors } = await callCommand('check', join(folder, 'none'))
    expect(exit_code).toBe(2)
    expect(errors).toBe(`error: ${join(folder, 'none')}: no such file or folder`)
    expect((await callCommand('check', folder)).errors).toContain('there is no file "dynacode.json"')
  })

  test('when the API does not answer, or says no', async () => {
    const api = await startPluginApi()
    api.behave((_, response) => void response.writeHead(403).end())
    expect(await callCommand('check', api.uri)).toMatchObject({
      exit_code: 2,
      errors: expect.stringMatching(/expected status 200, got 403$/),
    })
    const gone = 'http://127.0.0.1:1/plugins.json'
    expect((await callCommand('check', gone)).errors).toMatch(/^error: http:\/\/127\.0\.0\.1:1\/plugins\.json: \S.*$/)
    const secret = await callCommand('check', 'http://user:hidden@127.0.0.1:1/')
    expect(secret).toMatchObject({ exit_code: 2, errors: expect.not.stringContaining('hidden') })
  })

  test('when the manifest of a folder is no JSON', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'dynacode.json': '{' })
    const { exit_code, errors } = await callCommand('check', folder)
    expect(exit_code).toBe(2)
    expect(errors).toMatch(/dynacode\.json:1:2: expected .*, got the end$/)
  })
})

describe('dynacode check --types', () => {
  test('finds wrong types in JavaScript and TypeScript, each in its place', async () => {
    const folder = makeFolder()
    const plugins = [
      { name: 'a', phase: 'content', file: 'a.ts', params: { count: 1 } },
      { name: 'b', phase: 'access', code: 'log(ctx.pathh)' },
      { name: 'c', phase: 'log', code: 'log(flags.on)' },
    ]
    writeFiles(folder, {
      'dynacode.json': { domains: [{ name: '^a$', plugins }] },
      'a.ts': 'const n: number = params.count\nconst s: string = params.count\nlog(n, s)',
      'flags.d.ts': 'declare var flags: { off: boolean }',
    })
    const globals = ['--globals', 'flags', '--declarations', join(folder, 'flags.d.ts')]
    const { findings } = await callJson('check', folder, '--types', ...globals)
    expect(findings).toMatchObject([
      { rule: 'types', plugin: 'a', file: 'a.ts', line: 2, column: 7, message: expect.stringMatching(/\(TS2322\)$/) },
      { rule: 'types', plugin: 'b', line: 1, column: 9, message: expect.stringMatching(/pathh/) },
      { rule: 'types', plugin: 'c', message: expect.stringMatching(/'on'/) },
    ])
    expect((await callJson('check', folder, '--globals', 'flags')).findings).toEqual([])
    const missing = await callCommand('check', folder, '--types', '--declarations', join(folder, 'none.d.ts'))
    expect(missing).toMatchObject({ exit_code: 2, errors: expect.stringContaining('none.d.ts: no such file') })
  })

  test('says how to get TypeScript where there is none', async () => {
    const text = JSON.stringify({ domains: [] })
    const { document } = await inspectDocument({ text, manifest: undefined })
    const load = () => Promise.reject(new Error('not found'))
    const input = { text, manifest: undefined, folder: undefined }
    await expect(inspectTypes(input, document as Document, {}, load)).rejects.toThrow(
      /npm install --save-dev typescript/,
    )
  })
})

describe('several sources', () => {
  test('are checked one after the other, and counted together', async () => {
    const folder = makeFolder()
    const [a, b] = [join(folder, 'a.json'), join(folder, 'b.json')]
    const plugin = { name: 'p', phase: 'access', code: '' }
    writeFiles(folder, {
      'a.json': { domains: [{ name: '*', plugins: [{ ...plugin, whne: {} }] }] },
      'b.json': { domains: [{ name: '*', plugins: [plugin] }] },
    })
    const { exit_code, output } = await callCommand('check', a, b)
    expect(exit_code).toBe(1)
    expect(output).toBe(
      `${a}:\ndomains[0].plugins[0].whne error document (p, access, *)\n  unknown field. Did you mean \`when\`?\n\n2 plugins checked: 1 error`,
    )
    const { plugins, findings } = await callJson('check', b, a)
    expect({ plugins, findings }).toMatchObject({ plugins: 2, findings: [{ source: a, rule: 'document' }] })
  })

  test('--allow refuses a rule that there is not', async () => {
    const { exit_code, errors } = await callCommand('check', 'a.json', '--allow', 'fail-open')
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: 'error: --allow: unknown rule fail-open. Did you mean `fails-open`?',
    })
  })
})

describe('what an app with default options would refuse', () => {
  test.each([
    ['too much code', { code: `// ${'a'.repeat(1024 * 1024)}` }, /code: expected at most 1048576 \(max_code_bytes\)/],
    [
      'too many bytes',
      { params: { a: 'a'.repeat(16 * 1024 * 1024) } },
      /^expected at most 16777216 bytes \(plugin_api_max_bytes\)/,
    ],
  ])('is warned of: %s', async (_, fields, message) => {
    const findings = await inspect('access', '', fields)
    expect(findings).toMatchObject([{ rule: 'caps', severity: 'warning' }])
    const [{ path, message: said } = { path: '', message: '' }] = findings
    expect(path === '' ? said : `${path}: ${said}`).toMatch(message)
    expect(said).toMatch(/unless its options allow more$/)
  })
})
