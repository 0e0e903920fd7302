// Makes docs/images/quick-start.svg: a recording of the quick start that is really run. `npm run docs:recording`
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

const ROOT = join(import.meta.dirname, '../..')
const CURL = 'curl -H "Host: dynamic.local.com" "http://127.0.0.1:8080/?token=token"'

interface Line {
  readonly kind: 'comment' | 'command' | 'output' | 'error'
  readonly text: string
}

const lines = await record()
writeFileSync(join(ROOT, 'docs/images/quick-start.svg'), draw(lines))
for (const { text } of lines) console.log(text)

/** Runs the quick start over a copy of its plugins, changes them, and returns what a terminal would show. */
async function record(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'quick-start-'))
  cpSync(join(ROOT, 'examples/quick-start/plugins'), join(folder, 'plugins'), { recursive: true })
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/quick-start/start.ts'], {
    cwd: ROOT,
    env: { ...process.env, API_PORT: '0', APP_PORT: '0', PLUGINS_FOLDER: join(folder, 'plugins'), NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed: string[] = []
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => printed.push(line))
  const shown: Line[] = []
  const say = (kind: Line['kind'], ...texts: string[]) => shown.push(...texts.map((text) => ({ kind, text })))
  /** Waits for a line of the app with this text; returns those that were printed since `from` up to it. */
  const printedBy = async (text: string, from = 0): Promise<string[]> => {
    for (let tries = 0; tries < 300; tries += 1) {
      const at = printed.findIndex((line, index) => index >= from && line.includes(text))
      if (at !== -1) return printed.slice(from, at + 1).filter((line) => line.startsWith('[app]'))
      await pause(100)
    }
    throw new Error(`the quick start did not print ${text}:\n${printed.join('\n')}`)
  }
  /** Runs a command in the folder as it is shown, but for the port of this run. */
  const run = (command: string, port: string) => {
    say('command', command)
    const output = execFileSync('bash', ['-c', command.replace('8080', port)], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    if (output !== '') say('output', ...output.trimEnd().split('\n'))
  }
  try {
    say('command', 'npm run quick-start')
    say('output', ...(await printedBy('is live')))
    const [app = ''] = (await printedBy('app  ').then(() => printed)).filter((line) => /^ +app +http/.test(line))
    const port = /:(\d+)/.exec(app)?.[1] ?? ''
    run(CURL, port)

    say('comment', '# edit a plugin: it is live without a restart')
    let from = printed.length
    run(`echo "say('hello again!')" > plugins/hello.js`, port)
    say('output', ...(await printedBy('is live', from)))
    run(CURL, port)

    say('comment', '# break it: the last good version stays')
    from = printed.length
    run(`echo "say('hello again!'" > plugins/hello.js`, port)
    say('error', ...(await printedBy('last good', from)))
    run(CURL, port)
    return shown
  } finally {
    child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A terminal in which the lines appear one after the other, again and again. Commands are typed. */
function draw(recorded: readonly Line[]): string {
  const width = 800
  const height = recorded.length * 21 + 62
  const letter = 7.25
  let now = 0.6
  const timed = recorded.map((line) => {
    const at = now
    const typing = line.kind === 'command' ? Math.min(line.text.length * 0.025, 1.2) : 0
    now += typing + (line.kind === 'command' ? 0.4 : line.kind === 'comment' ? 1 : 0.25)
    return { ...line, at, typing }
  })
  const total = now + 3.5
  const percent = (seconds: number) => ((seconds / total) * 100).toFixed(2)
  const rules = timed.map(({ at, typing }, index) => {
    const appear = `@keyframes l${index} { 0%, ${percent(at)}% { opacity: 0 } ${percent(at + 0.01)}%, 100% { opacity: 1 } }`
    const rule = `.l${index} { animation: l${index} ${total.toFixed(2)}s infinite }`
    if (typing === 0) return `${appear} ${rule}`
    const text = timed[index]?.text ?? ''
    const shift = `translateX(${((text.length + 2) * letter).toFixed(0)}px)`
    const type = `@keyframes t${index} { 0%, ${percent(at)}% { transform: none; animation-timing-function: steps(${text.length}) } ${percent(at + typing)}%, 100% { transform: ${shift} } }`
    return `${appear} ${rule} ${type} .t${index} { animation: t${index} ${total.toFixed(2)}s infinite }`
  })
  const rows = timed.map(({ kind, text, typing }, index) => {
    const y = 56 + index * 21
    const prompt = kind === 'command' ? '<tspan class="prompt">$ </tspan>' : ''
    const row = `<text class="${kind}" x="20" y="${y}">${prompt}${escapeText(text)}</text>`
    const cover =
      typing > 0 ? `<rect class="cover t${index}" x="${20 + 2 * letter}" y="${y - 15}" width="760" height="20"/>` : ''
    return `<g class="l${index}">${row}${cover}</g>`
  })
  const plain = recorded.map(({ text }) => text).join(' ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(plain)}">
<style>
  .window, .cover { fill: #0d1117 }
  .frame { fill: none; stroke: #3d444d }
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #c9d1d9; white-space: pre }
  .command { fill: #f0f6fc } .prompt { fill: #3fb950 } .comment { fill: #9198a1 } .error { fill: #ff7b72 }
  ${rules.join('\n  ')}
  @media (prefers-reduced-motion: reduce) { svg g[class] { animation: none } .cover { display: none } }
</style>
<clipPath id="inside"><rect x="1" y="1" width="${width - 2}" height="${height - 2}" rx="8"/></clipPath>
<rect class="window" width="${width}" height="${height}" rx="8"/>
<circle cx="20" cy="18" r="5" fill="#ff5f57"/><circle cx="38" cy="18" r="5" fill="#febc2e"/><circle cx="56" cy="18" r="5" fill="#28c840"/>
<g clip-path="url(#inside)">
${rows.join('\n')}
</g>
<rect class="frame" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
</svg>
`
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
