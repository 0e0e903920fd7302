import { createHmac, randomBytes } from 'node:crypto'
import type { HookFormat } from '../../shared/webhooks.ts'
import type { Contact } from '../review/live-index.ts'
import { describeEvent, type HookEvent } from './event.ts'

/** What is sent. */
export interface HookMessage {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** What Discord takes. */
const LONGEST = 1900

/**
 * Writes an event as its receiver wants it. What comes from people and reports is text: no chat takes anything of it for a
 * mention, a link with a name of its own, or markup.
 *
 * @param link where the studio shows more
 */
export function writeBody(format: HookFormat, event: HookEvent, contact: Contact, link: string | undefined): string {
  const text = [
    describeEvent(event),
    ...(contact.owner === null ? [] : [`Owner: ${contact.owner}`]),
    ...(contact.runbook === null ? [] : [`Runbook: ${contact.runbook}`]),
  ]
    .join('\n')
    .slice(0, LONGEST)
  switch (format) {
    case 'json': {
      const { type, at, ...data } = event
      return JSON.stringify({ type, timestamp: at, data: { text: describeEvent(event), ...data, ...contact, link } })
    }
    case 'slack':
      // Without mrkdwn, these three are all that Slack reads as something else.
      return JSON.stringify({ text: escapeForSlack(withLink(text, link)), mrkdwn: false, unfurl_links: false })
    case 'discord':
      return JSON.stringify({
        // Links are left as they are: it shows backslashes in them.
        content: withLink(escapeForDiscord(text), link),
        allowed_mentions: { parse: [] },
        flags: SUPPRESS_EMBEDS,
      })
    case 'teams':
      return JSON.stringify({ type: 'message', attachments: [{ contentType: CARD, content: writeCard(text, link) }] })
  }
}

const SUPPRESS_EMBEDS = 4
const CARD = 'application/vnd.microsoft.card.adaptive'

/** An Adaptive Card: its text runs are the one kind of text that knows no Markdown. */
function writeCard(text: string, link: string | undefined): object {
  const inlines = [{ type: 'TextRun', text }]
  return {
    type: 'AdaptiveCard',
    version: '1.4',
    body: [{ type: 'RichTextBlock', inlines }],
    ...(link === undefined ? {} : { actions: [{ type: 'Action.OpenUrl', title: 'Open the studio', url: link }] }),
  }
}

function withLink(text: string, link: string | undefined): string {
  return link === undefined ? text : `${text}\n${link}`
}

function escapeForSlack(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

function escapeForDiscord(text: string): string {
  // What stands in an address stays: backslashes would be part of it.
  return text
    .split(/(https?:\/\/[^\s<>()\\]+)/)
    .map((part, at) => (at % 2 === 1 ? part : part.replace(/[\\*_~`|>#()[\]<@:-]/g, '\\$&')))
    .join('')
}

const PREFIX = 'whsec_'

/** Makes what messages of a webhook are signed by: 24 bytes, as Standard Webhooks writes them. */
export function createHookSecret(): string {
  return PREFIX + randomBytes(24).toString('base64')
}

/**
 * Signs a message as Standard Webhooks has it (https://www.standardwebhooks.com): HMAC-SHA-256 over number, time and body.
 *
 * @param now in milliseconds since 1970
 */
export function signMessage(secret: string, message_id: string, body: string, now: number): HookMessage {
  const timestamp = String(Math.floor(now / 1000))
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  const signature = createHmac('sha256', key).update(`${message_id}.${timestamp}.${body}`).digest('base64')
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'dynacode-studio',
      'webhook-id': message_id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
  }
}
