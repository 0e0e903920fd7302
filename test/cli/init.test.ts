import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import supertest from 'supertest'
import { describe, expect, test } from 'vitest'
import { plugin_app } from '../../lib/testing/plugin-app.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'

describe('dynacode init', () => {
  test('begins a folder whose plugins are sound and run', async () => {
    const folder = join(makeFolder(), 'new')
    const { exit_code, output } = await callCommand('init', folder)
    expect(exit_code).toBe(0)
    const [names = '', next] = output.split('\n\n')
    expect(names.split('\n')).toEqual(expect.arrayContaining([join(folder, 'plugins/dynacode.json')]))
    expect(next).toContain(`cd ${folder}`)
    for (const name of names.split('\n')) expect(readFileSync(name, 'utf8')).not.toBe('')
    expect(await callJson('check', join(folder, 'plugins'), '--types')).toMatchObject({
      plugins: 1,
      errors: 0,
      warnings: 0,
    })
    const app = await plugin_app(join(folder, 'plugins'))
    await supertest(app.callback()).get('/hello').expect(200, 'hello world\n')
  })

  test('asks for what the package can be used with', async () => {
    const folder = makeFolder()
    await callCommand('init', folder)
    const own = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
    const { devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    expect(devDependencies.dynacode).toBe(`^${own.version}`)
    expect(own.peerDependencies.recheck).toBe(devDependencies.recheck)
    for (const name of ['koa', '@types/koa']) expect(own.peerDependencies[name]).toContain(devDependencies[name])
  })

  test('writes nothing where one of its files is there already', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'test/hello.test.js': 'mine' })
    const { exit_code, errors } = await callCommand('init', folder)
    expect({ exit_code, errors }).toEqual({
      exit_code: 2,
      errors: `error: ${join(folder, 'test/hello.test.js')}: file already exists`,
    })
    expect(readdirSync(folder)).toEqual(['test'])
  })

  test('says so where a file is in the way', async () => {
    const folder = makeFolder()
    writeFiles(folder, { taken: 'x' })
    const { exit_code, errors } = await callCommand('init', join(folder, 'taken'))
    expect({ exit_code, errors: errors.startsWith(`error: ${join(folder, 'taken')}`) }).toEqual({
      exit_code: 2,
      errors: true,
    })
    expect(errors).not.toContain('\n')
  })
})
