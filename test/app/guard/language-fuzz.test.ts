import fc from 'fast-check'
import { expect, it } from 'vitest'
import { outcomeOf } from '../../fixtures/guarded.ts'

/** Small programs that note what they come by, and in which order, in `seen`. */
const program = fc.letrec<{ expression: string; statement: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom('1', '"a"', 'null', 'seen.length', 'f', 'p', 'typeof p', 'String(f)', 'f === f', 'this'),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `[${a}, ${b}]`),
    tie('expression').map((e) => `(await (${e}))`),
    tie('expression').map((e) => `((x) => [x, ${e}].length)(2)`),
    tie('expression').map((e) => `(await (async () => (${e}))())`),
    tie('expression').map((e) => `(p.then(() => seen.push("then", ${e})).catch(() => seen.push("!")), 3)`),
    tie('expression').map((e) => `[1, 2].map(async (x) => { await x; seen.push(x) }).length + String(${e}).length`),
    tie('expression').map((e) => `(${e})?.constructor?.name`),
  ),
  statement: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    tie('expression').map((e) => `seen.push(${e});`),
    tie('expression').map((e) => `for (const x of [1, 2]) seen.push(x, ${e});`),
    tie('statement').map(
      (s) => `try { ${s} throw new Error("E") } catch (e) { seen.push(e.message) } finally { seen.push("f") }`,
    ),
    tie('statement').map((s) => `await (async function g() { function h() { return 1 } ${s} return h() })();`),
    tie('statement').map((s) => `for await (const y of (async function* () { yield 1; ${s} })()) seen.push(y);`),
    tie('statement').map((s) => `queueMicrotask(() => seen.push("m")); await null; ${s}`),
    tie('statement').map((s) => `a: for (let i = 0; i < 2; i++) { if (i) continue a; ${s} }`),
    fc.tuple(tie('statement'), tie('statement')).map(([a, b]) => `${a}\n${b}`),
    tie('expression').map((e) => `null.x(${e});`),
  ),
}))

it('G53 small programs do the same with the guard and without: values, errors, order and functions', async () => {
  await fc.assert(
    fc.asyncProperty(program.statement, async (body) => {
      const code = `const { seen } = params; const f = (x) => x, p = Promise.resolve(1);\n${body}\nawait new Promise((r) => setTimeout(r, 1))`
      expect(await outcomeOf(code, 'on')).toBe(await outcomeOf(code, 'off'))
    }),
    { numRuns: 120, seed: 18 },
  )
}, 30_000)
