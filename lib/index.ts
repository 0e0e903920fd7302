export type { Refresh } from './background/refresh.ts'
export type { ControlOptions } from './control/endpoints.ts'
export type { Readiness } from './control/readiness.ts'
export type { PluginState, PluginStatus, RolloutStatus, Status } from './control/status.ts'
export type { FailurePolicy, GuardMode, Phase } from './document.ts'
export { type Dynacode, dynacode } from './dynacode.ts'
export { CompileError, DocumentError, DynacodeError, type ErrorCode, OptionError } from './errors.ts'
export type { DynacodeEmitter } from './events/emitter.ts'
export type {
  EventName,
  EventTable,
  NoUpdate,
  Origin,
  Payload,
  PluginInfo,
  RolloutCounts,
  Update,
} from './events/table.ts'
export type { PluginRunMessage, RefreshMessage } from './events/tracing.ts'
export type { Logger } from './observability/log/logger.ts'
export type { Report } from './observability/report/writer.ts'
export type { DynacodeOptions } from './options.ts'
export { type Canary, type CanaryOptions, type CanaryStatus, canary } from './request/canary/middleware.ts'
export type { Store } from './request/store.ts'
export type { Upgrade, UpgradeDecision } from './request/upgrade.ts'
export type { Fetched, Source } from './sources/contract.ts'
export { type FolderSourceOptions, folder_source } from './sources/folder/source.ts'
export type { ApiHeaders, HeadersFunction } from './sources/http/request-headers.ts'
export { StatusError } from './sources/http/status-error.ts'
export type { BreakerState } from './time/breaker.ts'
export type { TrustedKey, TrustedKeys } from './validation/trusted-keys.ts'
