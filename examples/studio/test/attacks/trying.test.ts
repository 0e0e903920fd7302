import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Level } from '../../server/trying/levels.ts'
import { createTrials, type Trials } from '../../server/trying/try-request.ts'
import './count.ts'

/** What docs/studio.md says that a level does not keep out; everything else is held on every level. */
const NOT_HELD: Readonly<Record<Level, readonly string[]>> = {
  namespaces: [],
  user: ['network'],
  process: ['network', 'priority'],
}

const is_root = process.getuid?.() === 0
const is_linux = process.platform === 'linux'
/** What this machine has to have, by what it is. */
const ways: readonly (readonly [Level, string])[] = [
  ...(existsSync('/usr/bin/bwrap') ? [['namespaces', 'bubblewrap'] as const] : []),
  ...(is_linux ? [['namespaces', 'unshare'] as const] : []),
  ...(is_root ? [['user', ''] as const] : []),
  ['process', ''],
]

/** A document with one plugin, of the phase content. */
const documentOf = (code: string) =>
  JSON.stringify({ domains: [{ name: '*', plugins: [{ name: 'attack', phase: 'content', code }] }] })
const request = { url: 'http://shop.example.com/' }

describe.each(ways)('code that is tried on the level %s, by %s', (level, by) => {
  const folder = mkdtempSync(join(tmpdir(), 'studio-attack-'))
  const secret = join(folder, 'secret')
  const link = join(folder, 'link')
  const victim = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  let trials: Trials
  let service: Server
  let asked = 0
  let account = 0

  beforeAll(async () => {
    writeFileSync(secret, 'of the studio', { mode: 0o644 })
    symlinkSync(folder, link)
    trials = createTrials((way) => way.level === level && way.what.includes(by), 8000)
    service = createServer((_request, response) => {
      asked += 1
      response.end('local')
    }).listen(0, '127.0.0.1')
    await once(service, 'listening')
    await trials.level()
  }, 120_000)
  afterAll(async () => {
    await trials.close()
    victim.kill('SIGKILL')
    service.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What the code has said; why it failed, where it did. */
  async function attack(code: string): Promise<string> {
    account += 1
    const { plugins, response } = await trials.run({ document: documentOf(code), request }, account)
    return plugins[0]?.outcome === 'failed' ? `failed: ${plugins[0].reason}` : response.body.trim()
  }

  /** Sees to it that none of the ways leads anywhere, and counts them. */
  async function expectHeld({ task }: TestContext, ways: readonly string[]): Promise<void> {
    task.meta.attacks = ways.length
    const said = (await attack(tryAll(ways))).split(',')
    expect(ways.filter((_, at) => said[at] !== 'held')).toEqual([])
  }

  test('G55 author | runs | runs as in production', async () => {
    const code =
      "const { hash } = process.getBuiltinModule('node:crypto'); say(ctx.host, ctx.ip, typeof Buffer.from, structuredClone(2))"
    expect(await attack(code)).toBe('shop.example.com127.0.0.1function2')
    expect((await trials.level()).level).toBe(level)
  })

  test('G55 author | reads | finds nothing of the studio around it', async (context) => {
    const words = JSON.stringify([process.cwd(), folder])
    const ways = [
      "if (Object.keys(process.env).length === 0) throw new Error('none')",
      `if (!process.argv.some((each) => ${words}.some((word) => each.includes(word)))) throw new Error('none')`,
      ...FILES(secret, link).flatMap(waysToRead),
    ]
    await expectHeld(context, ways)
  })

  test('G55 author | writes | writes nothing, and makes no link', async (context) => {
    const target = JSON.stringify(join(folder, 'written'))
    await expectHeld(context, [
      `${builtin('fs')}.writeFileSync(${target}, 'x')`,
      `${builtin('fs')}.symlinkSync('/', ${target})`,
      `${builtin('fs')}.copyFileSync('/etc/passwd', ${target})`,
      `${builtin('fs')}.rmSync(${JSON.stringify(secret)})`,
      `${builtin('fs')}.chmodSync(${JSON.stringify(secret)}, 0o777)`,
      `${builtin('v8')}.writeHeapSnapshot(${target})`,
    ])
    expect(existsSync(join(folder, 'written'))).toBe(false)
    expect(readFileSync(secret, 'utf8')).toBe('of the studio')
  })

  test('G55 author | begins | gets neither a process nor a thread nor what is below Node', async (context) => {
    await expectHeld(context, [
      `${builtin('child_process')}.execFileSync(process.execPath, ['-v'])`,
      `${builtin('child_process')}.execSync('true')`,
      `${builtin('cluster')}.fork(); throw new Error(await new Promise((r) => setTimeout(r, 200)))`,
      `new (${builtin('worker_threads')}.Worker)('1', { eval: true })`,
      "process.binding('process_wrap')",
      "process.dlopen({ exports: {} }, '/tmp/x.node')",
    ])
  })

  test('G55 author | signals | reaches no process by a handle that was never spawned', async () => {
    let heard = 0
    const hear = () => {
      heard += 1
    }
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.on(signal, hear)
    onTestFinished(() => {
      for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.off(signal, hear)
    })
    // The last is of the process itself, which may well end by it.
    const code = `const { ChildProcess } = ${builtin('child_process')}
      for (let tries = 0; tries < 500; tries += 1) for (const signal of [12, 10, 1])
        try { new ChildProcess()._handle.kill(signal) } catch {}
      say('done')`
    await attack(code).catch(() => undefined)
    expect(heard).toBe(0)
    expect(victim.exitCode).toBeNull()
  })

  test('G55 author | signals | ends nobody by a number', async (context) => {
    const kill = (pid: string | number) => `process.kill(${pid}, 'SIGKILL')`
    await expectHeld(context, [
      kill(victim.pid as number),
      kill(process.pid),
      kill('process.ppid'),
      kill(-1),
      `process._debugProcess(${victim.pid})`,
      `process._debugProcess(${process.pid})`,
    ])
    expect(victim.exitCode ?? victim.signalCode).toBeNull()
  })

  if (!NOT_HELD[level].includes('priority')) {
    test('G55 author | slows | changes nobody’s priority', async (context) => {
      const before = [getPriority(victim.pid as number), getPriority(process.pid)]
      const pids = [victim.pid, process.pid]
      await expectHeld(
        context,
        pids.map((pid) => `${builtin('os')}.setPriority(${pid}, 19)`),
      )
      expect([getPriority(victim.pid as number), getPriority(process.pid)]).toEqual(before)
    })
  }

  if (!NOT_HELD[level].includes('network')) {
    test('G55 author | connects | reaches no service of this machine', async (context) => {
      const { port } = service.address() as AddressInfo
      const reach = (begin: string, event: string) =>
        `await new Promise((resolve, reject) => ${begin}.once('${event}', resolve).once('error', reject))`
      await expectHeld(context, [
        reach(`${builtin('net')}.connect({ port: ${port}, host: '127.0.0.1' })`, 'connect'),
        reach(`${builtin('net')}.connect({ port: ${port}, host: '::ffff:127.0.0.1' })`, 'connect'),
        reach(`${builtin('net')}.connect({ path: '/var/run/docker.sock' })`, 'connect'),
        reach(`${builtin('http')}.get('http://127.0.0.1:${port}/')`, 'response'),
        `await ${builtin('dns/promises')}.resolve('example.com')`,
      ])
      expect(asked).toBe(0)
    })
  }

  test('G55 author | connects | sends nothing by fetch, and gets what the author has filled in', async (context) => {
    const { port } = service.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/`
    await expectHeld(context, [`await fetch('${url}')`, `await fetch(new Request('${url}', { method: 'PUT' }))`])
    const code = `const response = await fetch('${url}', { method: 'POST', body: 'x' }); say(response.status, await response.text())`
    const trial = {
      document: documentOf(code),
      request,
      answers: [{ url, method: 'POST', status: 201, body: 'filled in' }],
    }
    expect((await trials.run(trial, 0)).response.body).toBe('201filled in\n')
    expect(asked).toBe(0)
  })

  test('G55 author | inspector | opens a debugger for nobody else', async () => {
    const { port } = service.address() as AddressInfo
    await attack(
      `try { ${builtin('inspector')}.open(${port + 1}, '0.0.0.0') } catch {}; say('on'); await new Promise((r) => setTimeout(r, 300))`,
    )
    // It ends with the process at the latest.
    await expect(fetch(`http://127.0.0.1:${port + 1}/json`)).rejects.toThrow('fetch failed')
  })

  test('G56 author | bombs | ends whatever takes too much', { timeout: 120_000 }, async ({ task }) => {
    // Not bounded by the guard, as code that is bounded ends by itself.
    const unbounded = (code: string) =>
      `await new Function('return (async () => {' + ${JSON.stringify(code)} + '})()')()`
    const bombs = [
      unbounded('for (;;) {}'),
      unbounded("for (;;) { process.stdout.write('x'.repeat(1e6)); await new Promise(setImmediate) }"),
      unbounded('const all = []; for (;;) all.push(Array(1e5).fill(String(Math.random())))'),
      unbounded(
        "const all = []; while (all.length < 60) all.push(Buffer.alloc(5e7, 1)); process.stdout.write('escaped')",
      ),
      "process.stdout.write('[['.repeat(2e5), () => process.exit())",
      `process.stdout.write('{"ran":' + '{"a":'.repeat(2e4) + '1' + '}'.repeat(2e4) + '}', () => process.exit())`,
      'process.stdout.write(\'{"ran":{"plugins":{}}}\', () => process.exit())',
    ]
    task.meta.attacks = bombs.length
    const ended = async (code: string) => {
      const said = await attack(code).catch((error: Error) => error)
      expect
        .soft(said, code)
        .toSatisfy((is) => (is instanceof Error ? 'status' in is && is.status === 422 : /^failed/.test(is)))
    }
    await Promise.all(bombs.slice(0, 4).map(ended))
    await Promise.all(bombs.slice(4).map(ended))
    expect(await attack("say('next')")).toBe('next')
  })
})

/** What an author may want to read, in the folder that is given and elsewhere. */
const FILES = (secret: string, link: string) => [
  secret,
  join(link, 'secret'),
  join(process.cwd(), '.studio', 'PG_VERSION'),
  join(process.cwd(), 'package.json'),
  join(process.cwd(), 'node_modules', 'dynacode', '.git'),
  join(process.cwd(), 'node_modules', 'dynacode', 'package.json'),
  `/proc/${process.pid}/environ`,
  `/proc/${process.pid}/root/etc/passwd`,
  '/proc/self/environ',
  '/etc/passwd',
]

function waysToRead(file: string): readonly string[] {
  const path = JSON.stringify(file)
  return [
    `${builtin('fs')}.readFileSync(${path})`,
    `await ${builtin('fs/promises')}.readFile(${path})`,
    `await import(${path}, { with: { type: 'json' } })`,
    `${builtin('module')}.createRequire('/try/x.js')(${path})`,
    `await (await ${builtin('fs')}.openAsBlob(${path})).text()`,
    `process.loadEnvFile(${path})`,
    `${builtin('fs')}.statSync(${path})`,
  ]
}

const builtin = (name: string) => `process.getBuiltinModule('node:${name}')`

/** Code that says of each way whether it was held. */
function tryAll(ways: readonly string[]): string {
  const tries = ways.map((way) => `try { ${way}; said.push('escaped') } catch { said.push('held') }`)
  return `const said = []\n${tries.join('\n')}\nsay(said.join())`
}
