import type { Events } from '../events/emitter.ts'
import type { Origin, Update } from '../events/table.ts'
import type { Steps } from '../time/steps.ts'
import type { Build } from './builder.ts'

/** Tells of a program that went live: first of what is wrong with its document, and of each plugin. */
export function* tellOfUpdate(
  events: Events,
  built: Build,
  version: number | string,
  from: Origin,
  duration_ms: number,
): Steps<Update> {
  const { program, compiled, failures, faults, reused, removed } = built
  for (const error of faults) events.emit('on_error', { section: 'document', error })
  for (const { info, duration_ms: took } of events.has('bg_compile_success') ? compiled : []) {
    events.emit('bg_compile_success', { plugin: info, duration_ms: took })
    yield
  }
  for (const { info, error, kept_last_good } of failures) {
    events.emit('bg_compile_error', { plugin: info, error, kept_last_good })
    yield
  }
  const update: Update = Object.freeze({
    version,
    from,
    plugins: program.plugins.length,
    compiled: compiled.length,
    reused,
    removed,
    failed: failures.length + faults.length,
    duration_ms,
  })
  events.emit('bg_updated_plugins', { ...update })
  return update
}
