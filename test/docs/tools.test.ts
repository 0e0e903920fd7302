import { createRequire } from 'node:module'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import * as tools from '../../lib/tools/index.ts'
import { namesIn, readDocsPage, tablesOf } from './pages.ts'

const require = createRequire(import.meta.url)
const page = readDocsPage('tools')
const sorted = (names: Iterable<string>) => [...names].sort()

/** What a snippet prints; a server of its own listens on a free port, and is closed. */
async function run(text: string): Promise<string[]> {
  const { outputText } = ts.transpileModule(`async function snippet() {\n${text.replace(/^import .*$/gm, '')}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022 },
  })
  const printed: string[] = []
  const { createServer } = require('node:http')
  const names = {
    ...tools,
    console: { log: (...words: unknown[]) => printed.push(words.map(String).join(' ')) },
    createServer: (listener: unknown) => ({ listen: () => createServer(listener).listen(0).close() }),
  }
  await new Function(...Object.keys(names), `${outputText}\nreturn snippet()`)(...Object.values(names))
  return printed
}

describe('docs/tools.md', () => {
  const [first = '', check = '', request = '', api = ''] = page.blocks.map(({ text }) => text)

  test('lists every function, and no other', () => {
    const listed = namesIn(tablesOf(page, 'function')).map((name) => name.replace(/\(.*/, ''))
    expect(sorted(listed)).toEqual(sorted(Object.keys(tools)))
  })

  test('has nothing to find in its first snippet', async () => {
    expect(await run(first)).toEqual(['publish it'])
  })

  test('finds the mistake of its second one', async () => {
    expect(await run(check)).toEqual([
      'hello:1:1 error unknown-name: sayy is not known. Did you mean `say`?',
      'not to be published',
    ])
  })

  test('sees the request of its third one blocked', async () => {
    expect(await run(request)).toEqual(['403', 'block ran null ended the request with 403'])
  })

  test('serves a document in its fourth one', async () => {
    expect(await run(api)).toEqual([])
  })
})
