import type { HookFormat } from '../../shared/webhooks.ts'

/** What each format is called. */
export const FORMATS: Readonly<Record<HookFormat, string>> = {
  slack: 'Slack',
  teams: 'Microsoft Teams',
  discord: 'Discord',
  json: 'a program (JSON)',
}
