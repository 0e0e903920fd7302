import { expect, test } from 'vitest'
import { readPages } from './pages.ts'

/** What the pages said before they spoke the field's language, and what to write instead. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/\btakes? on every change\b/i, 'picks up every change'],
  [/\bbring(s|ing)? (it|a plugin) out\b/i, 'roll out'],
  [/\bdeals? anew\b/i, 'reassigns clients'],
  [/\bwithout further ado\b/i, 'by default'],
  [/\b(is|are|be|was) told\b/i, 'is logged, emitted or reported'],
  [/\blaid down\b|\bgiven up\b/i, 'cancelled, aborted'],
  [/\bput aside\b/i, 'skipped'],
  [/\bof no (matter|use)\b/i, 'ignored; has no effect'],
  [/\bis no JSON\b/i, 'is not valid JSON'],
  [/\bno sandbox\b/i, 'not a sandbox'],
  [/\breach \|/, 'target'],
  [/\bwhoever\b/i, 'anyone who'],
]

// The changelog and the studio's page are written elsewhere.
const pages = readPages().filter(({ file }) => !/changelog|studio/.test(file))

test.each(pages)('$file uses the terms of the field', ({ file, prose }) => {
  // What stands in quotation marks is a test's title.
  const own = prose.replace(/“[^”]*”/g, '')
  const found = INSTEAD.flatMap(([pattern, instead]) => {
    const [words] = pattern.exec(own) ?? []
    return words === undefined ? [] : [`${file}: "${words}": write "${instead}"`]
  })
  expect(found).toEqual([])
})
