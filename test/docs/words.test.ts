import { expect, test } from 'vitest'
import { readOtherPages, readPages } from './pages.ts'

/** What the pages said before they spoke the field's language, and what to write instead. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/\btakes? on every change\b/i, 'picks up every change'],
  [/\bbring(s|ing)? (it|a plugin) out\b/i, 'roll out'],
  [/\bdeals? anew\b/i, 'reassigns clients'],
  [/\bwithout further ado\b/i, 'by default'],
  [/\b(is|are|be|was) told\b/i, 'is logged, emitted or reported'],
  [/\btold (of|by|when|what|why|apart)\b|\btells? (of|who|what|which|how|if|when|whether)\b/i, 'reports, shows, emits'],
  [/\blaid down\b|\bgiven up\b/i, 'cancelled, aborted'],
  [/\bherds?\b(?<!thundering herd)/i, 'fleet, thundering herd'],
  [/\bworth a look\b/i, 'warnings'],
  [/\b(in place|instead) of which\b/i, 'instead'],
  [/\bfind nothing to say\b/i, 'no problems found'],
  [/\bbut not if\b/i, 'excludes'],
  [/\bsomebody\b/i, 'someone'],
  [/\bby itself alone\b|\bof its own accord\b/i, 'by itself'],
  [/\b(for|of|by|from) who (is|has|can|may|was)\b/i, 'anyone who, the person who'],
  [/\bput aside\b/i, 'skipped'],
  [/\bof no (matter|use)\b/i, 'ignored; has no effect'],
  [/\bis no JSON\b/i, 'is not valid JSON'],
  [/\bno sandbox\b/i, 'not a sandbox'],
  [/\breach \|/, 'target'],
  [/\bwhoever\b/i, 'anyone who'],
]

const pages = [...readPages(), ...readOtherPages()].map((page) =>
  // What a version brought was written when it came out: only the newest ones speak as the pages do today.
  page.file === 'docs/changelog.md' ? { ...page, prose: page.prose.split(/^## 0\.[12]\.0$/m)[0] as string } : page,
)

test.each(pages)('$file uses the terms of the field', ({ file, prose }) => {
  // What stands in quotation marks is a test's title.
  const own = prose.replace(/“[^”]*”/g, '')
  const found = INSTEAD.flatMap(([pattern, instead]) => {
    const [words] = pattern.exec(own) ?? []
    return words === undefined ? [] : [`${file}: "${words}": write "${instead}"`]
  })
  expect(found).toEqual([])
})
