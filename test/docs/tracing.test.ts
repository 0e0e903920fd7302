import ts from 'typescript'
import { expect, test } from 'vitest'
import { plugin, startApp } from '../fixtures/app.ts'
import { readDocsPage } from './pages.ts'

test('the subscribers of docs/tracing.md tell the end of each run once', async () => {
  const block = readDocsPage('tracing').blocks.find(({ lang }) => lang === 'ts')
  const { outputText } = ts.transpileModule(block?.text ?? '', { compilerOptions: { module: ts.ModuleKind.CommonJS } })
  const lines: string[] = []
  const console = { log: (line: string) => lines.push(line.replace(/[\d.]+ ms/, '1 ms')) }
  const require = (name: string) => process.getBuiltinModule(name)
  new Function('require', 'exports', 'console', outputText)(require, {}, console)
  const { request } = await startApp({
    plugins: [
      plugin('access', '', { name: 'a' }),
      plugin('access', 'await null', { name: 'b' }),
      plugin('content', 'exit(204)', { name: 'c' }),
    ],
  })
  await request.get('/').expect(204)
  expect(lines).toEqual(['access a: done after 1 ms', 'access b: done after 1 ms', 'content c: exit after 1 ms'])
})
