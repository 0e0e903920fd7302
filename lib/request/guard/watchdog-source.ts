/**
 * The watchdog's own program. It runs in a thread of its own, where nothing of the app's is loaded; as text, because a
 * bundler would not find it as a file.
 */
export const WATCHDOG_SOURCE = `
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const { parentPort, workerData } = require('node:worker_threads')
const { slot, pid, heartbeat_ms, quarantine_path, limit_ms, exit, writes } = workerData

const known = new Map()
parentPort.on('message', ({ id, plugin, sha1 }) => known.set(id, { sha1, plugin }))
parentPort.unref()

// What a process was running for this long when it died is what it died of.
const suspect_ms = Math.min(250, limit_ms / 2)
const running = path.join(quarantine_path, 'running-' + pid + '.json')
let seen = { id: 0, runs: 0, beats: 0, since: 0 }
let suspected = false
let convicted = false

function write(file, value) {
  if (!writes) return
  const temporary = file + '.' + pid + '.tmp'
  // Whatever has the name is not written to, nor what it links to.
  fs.rmSync(temporary, { force: true })
  fs.writeFileSync(temporary, JSON.stringify(value) + '\\n', { mode: 0o600, flag: 'wx' })
  fs.renameSync(temporary, file)
}

function attempt(action) {
  try {
    action()
  } catch (error) {
    fs.writeSync(2, 'dynacode: the watchdog cannot write to ' + quarantine_path + ': ' + error.message + '\\n')
  }
}

function look() {
  const now = performance.now()
  const [id, runs, beats] = slot
  if (id === 0 || id !== seen.id || runs !== seen.runs || beats !== seen.beats) {
    seen = { id, runs, beats, since: now }
    convicted = false
    if (suspected) attempt(() => fs.rmSync(running, { force: true }))
    suspected = false
    return
  }
  const stuck_ms = now - seen.since
  const code = known.get(id)
  if (code === undefined) return
  if (!suspected && stuck_ms >= suspect_ms) {
    suspected = true
    attempt(() => write(running, { ...code, at: Date.now() }))
  }
  if (!convicted && stuck_ms >= limit_ms) {
    convicted = true
    const entry = { ...code, reason: 'stuck', at: Date.now() }
    attempt(() => write(path.join(quarantine_path, code.sha1 + '.json'), entry))
    fs.writeSync(2, 'dynacode: plugin ' + JSON.stringify(code.plugin) + ' (' + code.sha1 + ') keeps the event loop for more than ' +
      limit_ms + ' ms; it is in quarantine' + (exit ? ', and the process ends\\n' : '\\n'))
    if (!exit) return parentPort.postMessage(entry)
    attempt(() => fs.rmSync(running, { force: true }))
    process.kill(pid, 'SIGKILL')
  }
}

setInterval(look, heartbeat_ms)
`
