import { join } from 'node:path'

/** What the launcher has started. */
export interface Started {
  readonly app: { readonly uri: string; readonly pid: number | undefined }
  readonly api: { readonly uri: string; readonly pid: number | undefined }
  readonly folder: string
}

/**
 * What there is, and what to try. Every line with `curl` or `kill` can be copied as it stands.
 *
 * @param bold marks headings
 */
export function composeGreeting({ app, api, folder }: Started, bold: (text: string) => string): string {
  const width = Math.max(app.uri.length, api.uri.length) + 3
  const host = '-H "Host: dynamic.local.com"'
  return `
${bold('dynacode quick start')}

  app         ${app.uri.padEnd(width)}pid ${app.pid}
  plugin API  ${api.uri.padEnd(width)}pid ${api.pid}
  plugins     ${folder}

${bold('Try in another terminal')}

  the app itself: there are no plugins for this host
    curl -i ${app.uri}

  403: a plugin asks for a token
    curl -i ${host} ${app.uri}

  hello world!, a CORS header and a cookie: each from a plugin
    curl -i ${host} "${app.uri}?token=token"

  the cookie will do, too
    curl -i ${host} -b superstition=token ${app.uri}

${bold('Then')}

  edit ${join(folder, 'hello.js')}
    the answer changes within a second
  break it
    the compile error shows up here, the old version goes on serving
  stop the API, requests will not notice
    kill ${api.pid}

Ctrl-C ends both.
`
}
