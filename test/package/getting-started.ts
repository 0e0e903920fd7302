// Does what docs/getting-started.md says, with the packed tarball.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readDocsPage } from '../docs/pages.ts'

/** @param folder where the tarball is unpacked below node_modules; @param main the command's file */
export async function tryGettingStarted(folder: string, main: string): Promise<void> {
  const project = join(folder, 'shop')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  const ports: Record<string, number> = { '9090': await freePort(), '3000': await freePort() }
  const page = readDocsPage('getting-started')
  const files = page.blocks.flatMap(({ marks, text }) => {
    const file = marks.get('file')
    const fitted = text.replace(/9090|3000/g, (port) => String(ports[port]))
    return file === undefined ? [] : [{ file, save: () => writeFileSync(join(project, file), fitted), fitted }]
  })
  const [first, changed] = files.filter(({ file }) => file === 'plugins.json')
  if (first === undefined || changed === undefined) throw new Error('getting-started.md: expected two documents')
  for (const { save } of files.filter((file) => file !== changed)) save()

  let printed = ''
  const started: ChildProcess[] = []
  const start = (file: string) => {
    const child = spawn(process.execPath, [file], { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += text))
    started.push(child)
  }
  const answer = async (headers: Record<string, string> = {}) => {
    try {
      return await (await fetch(`http://127.0.0.1:${ports['3000']}/hello`, { headers })).text()
    } catch {
      return 'no answer'
    }
  }
  try {
    start('api.js')
    start('app.js')
    await until(
      async () => (await answer()) === 'hello world!\n',
      () => printed,
    )
    changed.save()
    await until(
      async () => (await answer()) === 'a token, please\n',
      () => printed,
    )
    const check = () => spawnSync(process.execPath, [main, 'check', 'plugins.json'], { cwd: project }).status
    if (check() !== 0) throw new Error('check should find nothing in the document of getting-started.md')
    writeFileSync(join(project, 'plugins.json'), changed.fitted.replace("world!')", "world!'"))
    const [said = ''] = page.blocks.find(({ text }) => text.startsWith('dynacode: refused'))?.text.split('…') ?? []
    await until(
      async () => said !== '' && printed.includes(said),
      () => printed,
    )
    if ((await answer({ 'x-token': 's3cret' })) !== 'hello world!\n')
      throw new Error('the last good version should stay')
    if (check() !== 1) throw new Error('check should find the missing bracket')
    changed.save()
    execFileSync(process.execPath, ['--test'], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] })
  } finally {
    for (const child of started) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
  }
}

async function until(holds: () => Promise<boolean>, printed: () => string): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await holds()) return
    await pause(100)
  }
  throw new Error(`getting-started.md: what it says did not happen; the processes printed:\n${printed()}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
