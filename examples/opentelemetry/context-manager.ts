// OpenTelemetry's own context manager, over a store that others can be given.
import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, ROOT_CONTEXT } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'

/** Keeps the active context in a store that can be bound to a diagnostics channel. */
export class SharedContextManager extends AsyncLocalStorageContextManager {
  readonly storage = new AsyncLocalStorage<Context>()

  override active(): Context {
    return this.storage.getStore() ?? ROOT_CONTEXT
  }

  override with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.storage.run(context, () => fn.apply(thisArg, args))
  }

  override disable(): this {
    this.storage.disable()
    return this
  }
}
