import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStudio } from '../server/studio.ts'

const README = join(import.meta.dirname, '..', 'README.md')
const { DATABASE_URL } = process.env

/** A studio that is measured, with an empty database, on a port of its own. */
export interface MeasuredStudio {
  readonly address: string
  /** What its first account is made of. */
  readonly account: { readonly invitation: string | undefined; readonly name: string; readonly password: string }
  close(): Promise<void>
}

/** @param report_token the token with which instances send their reports */
export async function startMeasured(report_token: string): Promise<MeasuredStudio> {
  const folder = mkdtempSync(join(tmpdir(), 'studio-bench-'))
  const studio = await startStudio({
    database: DATABASE_URL === undefined ? { folder } : { url: DATABASE_URL },
    report_token,
    invite: true,
  })
  const server = createServer(studio.app.callback()).listen(0, '127.0.0.1')
  // A client that pauses between requests would meet connections that are being ended.
  server.keepAliveTimeout = 600_000
  await once(server, 'listening')
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    account: {
      invitation: studio.invitation,
      name: `bench-${process.pid}`,
      password: 'long enough for a bench',
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await studio.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * Prints a table, and puts it into README.md.
 *
 * @param script the npm script that makes it, by whose name its place is marked
 * @param about what its figures hold for
 */
export function writeTable(
  script: string,
  about: string,
  columns: readonly [string, string],
  rows: readonly (readonly [string, string])[],
): void {
  const database = DATABASE_URL === undefined ? 'the embedded database' : 'PostgreSQL'
  const table = [
    `\`npm run ${script}\` on ${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, ${database}. ${about}`,
    '',
    `| ${columns.join(' | ')} |`,
    '|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n')
  console.log(table)
  const [begin, end] = [`<!-- ${script} -->\n`, `<!-- /${script} -->`]
  const text = readFileSync(README, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to === -1) throw new Error(`README.md has no place that is marked ${begin.trim()}`)
  writeFileSync(README, `${text.slice(0, from)}${begin}\n${table}\n\n${text.slice(to)}`)
}
