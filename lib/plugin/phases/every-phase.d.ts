// What plugin code finds in each phase, as global names. `var`, so that the phases' files may stand side by side.
import type { Log, Params, PluginContext, PluginStore } from '../index.ts'

declare global {
  /** Koa's context of this request. */
  var ctx: PluginContext
  /** The plugin's `params` from the document. Frozen. */
  var params: Params
  /** Keeps values between requests. All plugins of this process share it. */
  var store: PluginStore
  /** Writes to the `debug` namespace `dynacode:plugin:<name>`, and to the app's logger if it has one. */
  var log: Log
  /** Aborts when the client disconnects, and after `timeout_ms`. */
  var signal: AbortSignal
}
