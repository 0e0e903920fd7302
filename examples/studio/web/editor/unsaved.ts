import type { Fields } from '../../shared/changes.ts'
import type { PluginForm } from './plugin-form.ts'

/** What was typed and not saved, and what it began with. */
export interface Unsaved {
  readonly form: PluginForm
  readonly base:
    | { readonly name: string; readonly phase: string; readonly fields: Fields; readonly revision: string }
    | undefined
}

/** Kept for the tab, through reloads and the end of a session; nothing is kept where the browser forbids it. */
export const unsaved = Object.freeze({
  read(key: string): Unsaved | undefined {
    try {
      const text = sessionStorage.getItem(key)
      return text === null ? undefined : JSON.parse(text)
    } catch {
      return undefined
    }
  },
  write(key: string, value: Unsaved): void {
    try {
      sessionStorage.setItem(key, JSON.stringify(value))
    } catch {
      // Before the page is left, the browser asks.
    }
  },
  forget(key: string): void {
    try {
      sessionStorage.removeItem(key)
    } catch {
      // There was nothing.
    }
  },
})
