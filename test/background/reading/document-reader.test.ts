import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Reading, readBytes } from '../../../lib/background/reading/document-reader.ts'
import { readEdits } from '../../../lib/background/reading/edits-reader.ts'
import { type LiveText, NO_TEXT } from '../../../lib/background/reading/live-text.ts'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { Domain } from '../../../lib/document.ts'
import type { ProgramDomain } from '../../../lib/program.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { listEdits } from '../../../lib/tools/create-delta.ts'
import { tries } from '../../fixtures/tries.ts'

const RULES = {
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 1000,
  max_plugins: 1000,
  max_code_bytes: 100_000,
} as const

const inParts = (text: string | Uint8Array, live: LiveText = NO_TEXT) =>
  runSteps(readBytes(Buffer.from(text as string), RULES, live, 0))

/** What comes of something, errors included. */
function outcome(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return { thrown: (error as Error).message, path: (error as { path?: string }).path }
  }
}

const plugin = (name: string, fields: object = {}) => ({ name, phase: 'access', code: `say('${name}')`, ...fields })
const domain = (name: string, ...plugins: unknown[]) => ({ name, plugins })
const many = (count: number, code: (index: number) => string = () => '') =>
  Array.from({ length: count }, (_, index) =>
    domain(`${index}.com`, plugin('p', { code: code(index) + ';'.repeat(500) })),
  )

/** Stands for having built a document: every domain without a fault becomes what it would in a program. */
function build({ document, learn }: Reading): { live: LiveText; built: Map<object, ProgramDomain> } {
  const built = new Map<object, ProgramDomain>()
  for (const read of document.domains) {
    if ('error' in read || 'domain' in read || read.plugins.some((entry) => 'error' in entry)) continue
    const plugins = read.plugins.map((spec) => ({ spec }))
    built.set(read, { name: read.name, pattern: read.pattern, plugins } as unknown as ProgramDomain)
  }
  return { live: runSteps(learn((read) => built.get(read))), built }
}

/** The document with what was kept in the form in which it would have been read. */
function spelledOut({ document }: Reading): unknown {
  const domains = document.domains.flatMap((read): unknown => {
    if (!('domain' in read)) return read
    const { name, pattern, plugins } = read.domain
    return { name, pattern, plugins: plugins.map(({ spec }) => spec) }
  })
  const { edited, ...rest } = document
  return { ...rest, domains }
}

/** Where something stands is no part of it: what was kept stays what it was. */
const withoutPaths = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (key, item) => (key === 'path' ? undefined : item)))

describe('a document that is read part by part', () => {
  const key = fc.constantFrom(
    'domains',
    'plugins',
    'general',
    'name',
    'code',
    'phase',
    'id',
    '__proto__',
    'constructor',
    'prototype',
    'when',
    'a"b',
    '\\',
  )
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom(null, '*', 'a.com', 'access', '[', '}', '"', '\\"', '(', ''),
  )
  const hostile = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  })).value
  const entry = fc.oneof(
    fc
      .record(
        {
          name: fc.constantFrom('p', 'q'),
          phase: fc.constantFrom('access', 'log', 'nope'),
          code: leaf,
          id: leaf,
          when: hostile,
          params: hostile,
          on_failure: leaf,
        },
        { requiredKeys: ['name'] },
      )
      .map((fields) => new Map(Object.entries(fields))),
    fc.integer({ min: 1, max: 3 }),
    hostile,
  )
  const listed = fc
    .record(
      {
        name: fc.constantFrom('a.com', 'b.com', '*', '(', ''),
        plugins: fc.oneof(fc.array(entry, { maxLength: 3 }), hostile),
      },
      { requiredKeys: ['name'] },
    )
    .map((fields) => new Map<string, unknown>(Object.entries(fields)))
  const top = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('domains'), fc.array(fc.oneof(listed, hostile), { maxLength: 4 })) },
      fc.tuple(fc.constant('plugins'), fc.array(entry, { maxLength: 3 })),
      fc.tuple(fc.constant('general'), hostile),
      fc.tuple(key, hostile),
    ),
    { maxLength: 4 },
  )
  /** JSON as nobody's library would write it: keys that stand there twice, and space wherever it may be. */
  function write(value: unknown, space: string, escaped: boolean): string {
    const name = (text: string) =>
      escaped
        ? `"${text.replace(/./gsu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`
        : JSON.stringify(text)
    if (Array.isArray(value))
      return `[${space}${value.map((item) => write(item, space, escaped)).join(`${space},`)}${space}]`
    if (!(value instanceof Map) && !isEntries(value)) return JSON.stringify(value)
    const entries = value instanceof Map ? [...value] : value.entries
    return `{${entries.map(([k, v]) => `${space}${name(k)}${space}:${space}${write(v, space, escaped)}`).join(',')}${space}}`
  }
  const isEntries = (value: unknown): value is { entries: [string, unknown][] } =>
    typeof value === 'object' && value !== null && 'entries' in value
  const texts = fc
    .tuple(
      top,
      fc.constantFrom('', ' ', '\n\t ', '\r'),
      fc.boolean(),
      fc.constantFrom('', '\ufeff', ' '),
      fc.constantFrom('', ' ', ',', '}', 'x'),
    )
    .map(
      ([entries, space, escaped, before, after]) =>
        before + write({ entries }, space, escaped && entries.length % 2 === 0) + after,
    )

  test('is the same as one that is read whole, whatever it is', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const whole = outcome(() => readDocument(text.replace(/^\ufeff/, ''), RULES))
        expect(outcome(() => inParts(text).document)).toEqual(whole)
      }),
      tries(500),
    )
  })

  test('is the same however its text is cut or changed', () => {
    const text = JSON.stringify({
      general: { version: 3 },
      domains: [domain('a.com', plugin('p'), 1), domain('b.com')],
      plugins: [plugin('s', { id: 1 })],
    })
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.nat(3),
        fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '1 ', '\u0000', 'é'),
        (at, cut, inserted) => {
          const changed = text.slice(0, at) + inserted + text.slice(at + cut)
          const whole = outcome(() => readDocument(changed, RULES))
          expect(outcome(() => inParts(changed).document)).toEqual(whole)
        },
      ),
      tries(500),
    )
  })

  test.each([
    '{"domains":[x],"domains":[]}',
    '{"domains":[{"name":"a","plugins":[]}],"domains":[{"name":"b","plugins":[]}]}',
    '{"domains":[{"name":"a","plugins":[]}],"d\\u006fmains":[{"name":"b","plugins":[]}]}',
    '{"d\\u006fmains":[{"name":"b","plugins":[]}],"domains":[{"name":"a","plugins":[]}]}',
    '{"domains":[],"plugins":[1}]',
    '{"domains":[{"name":"a","plugins":[]},]}',
    '{"domains":[{"name":"a","plugins":[]}{"name":"b","plugins":[]}]}',
    '{"domains":[1 2]}',
    '{"domains":{"name":"a"}}',
    '{"__proto__":{"domains":[]},"domains":[{"name":"a","plugins":[{"name":"p","phase":"log","code":"","when":{"__proto__":1}}]}]}',
    '[{"domains":[]}]',
  ])('is the same where it is written as nobody would: %s', (text) => {
    expect(outcome(() => inParts(text).document)).toEqual(outcome(() => readDocument(text, RULES)))
  })

  test('splits a domain of much text, too', () => {
    const large = JSON.stringify({
      domains: [
        {
          plugins: many(200).flatMap(({ plugins }, index) => [{ ...(plugins[0] as object), name: `p${index}` }]),
          name: 'a.com',
        },
      ],
    })
    expect(inParts(large).document).toEqual(readDocument(large, RULES))
  })

  test.each([
    ['a byte that is none of UTF-8', [0xff]],
    ['half a character', [0xc3]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a character in more bytes than it takes', [0xc0, 0x80]],
  ])('is refused with %s in it', (_, wrong) => {
    const bytes = Buffer.concat([Buffer.from('{"domains":[],"a":"'), Buffer.from(wrong), Buffer.from('"}')])
    expect(() => inParts(bytes)).toThrow('the document is not UTF-8')
  })
})

describe('a document beside the one that is live', () => {
  const keptOf = ({ document }: Reading) => document.domains.flatMap((read) => ('domain' in read ? read.domain : []))

  test('is not read where it is the same', () => {
    const text = JSON.stringify({ general: { version: 1 }, domains: many(300) })
    const { live, built } = build(inParts(text))
    const again = inParts(text.replace('"version":1', '"version":2'), live)
    expect(keptOf(again)).toHaveLength(300)
    expect(keptOf(again).every((kept) => [...built.values()].includes(kept))).toBe(true)
    expect(again.document.version).toBe(2)
  })

  test.each([
    ['changed', (domains: unknown[]) => domains.with(150, domain('150.com', plugin('p', { code: 'changed' })))],
    ['more', (domains: unknown[]) => domains.toSpliced(150, 0, domain('new.com', plugin('p')))],
    ['less', (domains: unknown[]) => domains.toSpliced(150, 1)],
    ['in another order', (domains: unknown[]) => [...domains.slice(200), ...domains.slice(0, 200)]],
  ])('is read for little else than what is %s', (_, change) => {
    const { live } = build(inParts(JSON.stringify({ domains: many(300) })))
    const text = JSON.stringify({ domains: change(many(300)) })
    const again = inParts(text, live)
    expect(withoutPaths(spelledOut(again))).toEqual(withoutPaths(readDocument(text, RULES)))
    expect(keptOf(again).length).toBeGreaterThan(100)
    // And so on: what was kept is known again the next time.
    const next = build(again)
    expect(keptOf(inParts(text, next.live))).toHaveLength(JSON.parse(text).domains.length)
  })

  test.each([
    ['domains of much text', 66_000, 30],
    ['domains of little', 10, 200],
  ])('G58 is the same as one that is read whole, whatever was live: %s', (_, size, numRuns) => {
    const filler = '-'.repeat(size)
    const names = fc.constantFrom('a.com', 'b.com', 'c.com', 'd.com', 'e.com', 'f.com', '*', '(')
    const entry = fc.constantFrom<unknown>(
      plugin('p'),
      plugin('p', { code: 'changed' }),
      plugin('p', { when: null, params: null, id: null }),
      plugin('q', { id: 1 }),
      plugin('r', { code: 7 }),
      { phase: 'access', code: "say('p')", name: 'p' },
      1,
      2,
      '1',
      null,
      { id: 2, params: { a: 1 } },
      { id: 3, phase: 'log' },
    )
    const item = fc
      .tuple(names, fc.oneof({ weight: 9, arbitrary: fc.array(entry, { maxLength: 2 }) }, fc.constant(null)))
      .map(([name, plugins]) => ({ name, plugins, filler }))
    const shared = fc.array(
      fc.constantFrom<object | null>(
        plugin('s', { id: 1 }),
        plugin('s', { id: 1, code: 'changed' }),
        plugin('s', { id: 1, code: 7 }),
        plugin('renamed', { id: 1 }),
        plugin('s', { id: '1' }),
        plugin('t', { id: 2, phase: 'x' }),
        plugin('t', { id: 2, variants: [] }),
        plugin('t', { id: 2, filler }),
        plugin('t', { id: 2, params: null }),
        plugin('u', { id: 3, on_failure: 'closed', filler }),
        { name: 'nobody' },
        null,
      ),
      { maxLength: 4 },
    )
    type Content = { plugins: (object | null)[] | null; domains: object[] }
    // The next one is the one before with little that is different, or quite another one.
    const edit = <T>(item: fc.Arbitrary<T>, all: fc.Arbitrary<T[]>) =>
      fc.oneof(
        all.map((list) => () => list),
        fc.tuple(fc.nat(8), fc.nat(1), fc.array(item, { maxLength: 1 })).map(
          ([at, count, added]) =>
            (before: T[]) =>
              before.toSpliced(at, count, ...added),
        ),
        fc.constant((before: T[]) => [...before.slice(2), ...before.slice(0, 2)]),
        fc.constant((before: T[]) => before),
      )
    const documents = fc.record({
      plugins: fc.option(
        edit(
          shared.map(([first]) => first ?? null),
          shared,
        ),
        { nil: null },
      ),
      domains: edit(item, fc.array(item, { maxLength: 8 })),
      general: fc.constantFrom<unknown>({}, { version: 5 }, null),
    })
    fc.assert(
      fc.property(fc.array(documents, { minLength: 2, maxLength: 6 }), fc.boolean(), (all, byEdits) => {
        let live = NO_TEXT
        let before: Content = { plugins: [], domains: [] }
        let old = Buffer.from('')
        for (const next of all) {
          const plugins = next.plugins === null ? null : next.plugins(before.plugins ?? [])
          before = { plugins, domains: next.domains(before.domains as never) }
          const text = JSON.stringify({ general: next.general, ...before })
          const whole = outcome(() => withoutPaths(readDocument(text, RULES)))
          const edited = runSteps(readEdits(listEdits(old, Buffer.from(text)), RULES, live))
          if (edited !== undefined) expect(withoutPaths(spelledOut(edited))).toEqual(whole)
          const reading = (byEdits ? edited : undefined) ?? (outcome(() => inParts(text, live)) as Reading)
          if ('thrown' in reading) expect(reading).toEqual(whole)
          else {
            expect(withoutPaths(spelledOut(reading))).toEqual(whole)
            live = build(reading).live
            old = Buffer.from(text)
          }
        }
      }),
      tries(numRuns),
    )
  })

  test('a shared plugin that was refused is live again once it is mended', () => {
    const good = plugin('s', { id: 1, filler: '-'.repeat(40_000) })
    const textOf = (...plugins: unknown[]) =>
      JSON.stringify({ plugins, domains: [domain('a.com', 1), domain('b.com', plugin('p'))] })
    let { live } = build(inParts(textOf(good)))
    live = build(inParts(textOf({ ...good, code: 7 }, good), live)).live
    const mended = textOf(good)
    expect(withoutPaths(spelledOut(inParts(mended, live)))).toEqual(withoutPaths(readDocument(mended, RULES)))
    live = build(inParts(mended, live)).live
    const referred = JSON.stringify({ plugins: [good], domains: [domain('a.com', 1), domain('new.com', 1)] })
    expect(withoutPaths(spelledOut(inParts(referred, live)))).toEqual(withoutPaths(readDocument(referred, RULES)))
  })

  test.each([null, undefined, []])('is not read again where its list of shared plugins is %j', (plugins) => {
    const text = JSON.stringify({ plugins, domains: many(300) })
    const { live } = build(inParts(text))
    expect(keptOf(inParts(text, live))).toHaveLength(300)
  })

  test('reads a string of many megabytes in steps', () => {
    const text = JSON.stringify({ domains: [domain('a.com', plugin('p'))], note: 'x'.repeat(8_000_000) })
    const work = readBytes(Buffer.from(text), RULES, NO_TEXT)
    let steps = 1
    while (work.next().done !== true) steps += 1
    expect(steps).toBeGreaterThan(50)
  })

  test('is read again where it refers to a shared plugin that is another one', () => {
    const withShared = (code: string) =>
      JSON.stringify({
        domains: [domain('a.com', 1, plugin('p', { code: ';'.repeat(1000) }))],
        plugins: [plugin('s', { id: 1, code })],
      })
    const { live } = build(inParts(withShared('one')))
    expect(keptOf(inParts(withShared('one'), live))).toHaveLength(1)
    const changed = inParts(withShared('two'), live)
    expect(keptOf(changed)).toEqual([])
    expect((changed.document.domains[0] as Domain).plugins[0]).toMatchObject({ name: 's', code: 'two' })
  })

  describe('with a shared plugin that changed', () => {
    const filler = ';'.repeat(500)
    const refersTo = (index: number) => (index % 10 === 3 ? [1] : index % 10 === 7 ? [{ id: 2, phase: 'log' }] : [])
    const textOf = (shared: Record<string, string>) =>
      JSON.stringify({
        domains: Array.from({ length: 400 }, (_, index) =>
          domain(`${index}.com`, plugin('p', { code: filler }), ...refersTo(index)),
        ),
        plugins: Object.entries(shared).map(([id, code]) => plugin(`s${id}`, { id: Number(id), code: code + filler })),
      })
    const readNames = ({ document }: Reading) =>
      document.domains.flatMap((read) => ('domain' in read ? [] : [(read as Domain).name]))

    test('is read for the domains that refer to it, and no others', () => {
      const { live, built } = build(inParts(textOf({ 1: 'one', 2: 'two', 3: 'three' })))
      const again = inParts(textOf({ 1: 'changed', 2: 'two', 3: 'three' }), live)
      expect(readNames(again)).toEqual(Array.from({ length: 40 }, (_, index) => `${index * 10 + 3}.com`))
      const known = new Set(built.values())
      expect(keptOf(again).every((kept) => known.has(kept))).toBe(true)
      expect(keptOf(again)).toHaveLength(360)
      const next = build(again)
      expect(readNames(inParts(textOf({ 1: 'changed', 2: 'two', 3: 'three' }), next.live))).toEqual([])
    })

    test('is read for no domain where none refers to it, wherever the others stand', () => {
      const { live } = build(inParts(textOf({ 1: 'one', 2: 'two', 4: 'four' })))
      expect(readNames(inParts(textOf({ 0: 'new', 1: 'one', 2: 'two', 4: 'changed' }), live))).toEqual([])
    })

    test('is read for those that refer to it when it is gone, and when it is back', () => {
      const first = build(inParts(textOf({ 1: 'one', 2: 'two' })))
      const without = inParts(textOf({ 1: 'one' }), first.live)
      expect(readNames(without)).toHaveLength(40)
      const { live } = build(without)
      const back = inParts(textOf({ 1: 'one', 2: 'two' }), live)
      expect(readNames(back)).toHaveLength(40)
      expect(withoutPaths(spelledOut(back))).toEqual(withoutPaths(readDocument(textOf({ 1: 'one', 2: 'two' }), RULES)))
    })
  })

  test('is read in as few steps as what is changed takes', () => {
    const domains = many(1000)
    const rules = { ...RULES, max_plugins: 2000 }
    const stepsOf = (domains: unknown[], live: LiveText) => {
      const work = readBytes(Buffer.from(JSON.stringify({ domains })), rules, live, 0)
      for (let count = 1; ; count += 1) {
        const step = work.next()
        if (step.done === true) return { count, reading: step.value }
      }
    }
    const first = stepsOf(domains, NO_TEXT)
    const { live } = build(first.reading)
    const changed = domains.with(500, domain('500.com', plugin('p', { code: 'changed' })))
    const again = stepsOf(changed, live)
    // What is kept is found, counted and learned, and nothing else is done with it.
    expect(live.domains.parts).toHaveLength(1000)
    expect(again.count).toBeLessThan(first.count)
    expect(again.reading.document.domains.filter((read) => !('domain' in read))).toHaveLength(1)
  })

  test.each([
    ['before it', 0, 0],
    // A domain that is kept takes its names first.
    ['behind it', 300, 299],
  ])('is the same as one that is read whole where a domain is new that has a namesake %s', (_, at, kept) => {
    const { live } = build(inParts(JSON.stringify({ domains: many(300) })))
    const text = JSON.stringify({ domains: many(300).toSpliced(at, 0, domain('250.com', plugin('q'), plugin('p'))) })
    const again = inParts(text, live)
    expect(withoutPaths(spelledOut(again))).toEqual(withoutPaths(readDocument(text, RULES)))
    expect(keptOf(again).length).toBeGreaterThanOrEqual(kept)
  })

  test('is the same as one that is read whole where a part of it stands there twice', () => {
    const { live } = build(inParts(JSON.stringify({ domains: many(300) })))
    const text = JSON.stringify({ domains: [...many(300), ...many(300)] })
    expect(withoutPaths(spelledOut(inParts(text, live)))).toEqual(withoutPaths(readDocument(text, RULES)))
  })

  test('is read for the domains with a namesake each time, and for no others', () => {
    const text = JSON.stringify({ domains: [...many(300), domain('7.com', plugin('q'))] })
    const { live } = build(inParts(text))
    const again = inParts(text, live)
    expect(keptOf(again)).toHaveLength(299)
    expect(withoutPaths(spelledOut(again))).toEqual(withoutPaths(readDocument(text, RULES)))
  })

  test('has the caps for all of it', () => {
    const text = JSON.stringify({ domains: many(300) })
    const { live } = build(inParts(text))
    const longer = JSON.stringify({
      domains: [...many(300), domain('z.com', ...Array.from({ length: 701 }, (_, n) => plugin(`${n}`)))],
    })
    expect(outcome(() => inParts(longer, live))).toEqual(outcome(() => readDocument(longer, RULES)))
    expect(() => inParts(longer, live)).toThrow('expected at most 1000 (max_plugins), got 1001')
  })
})
