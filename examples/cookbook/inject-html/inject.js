// Inserts params.html before </body>, wherever a chunk of the stream ends.
if (!ctx.response.is('html') || /charset=(?!"?utf-8)/i.test(ctx.response.get('Content-Type'))) return
ctx.state.inject_html ??= { decoder: new TextDecoder('utf-8', { ignoreBOM: true }), kept: '', done: false }
const page = ctx.state.inject_html

let text = page.kept + (typeof chunk === 'string' ? chunk : page.decoder.decode(chunk, { stream: !last }))
page.kept = ''
if (page.done) return text
const at = text.search(/<\/body>/i)
if (at !== -1) {
  page.done = true
  return text.slice(0, at) + params.html + text.slice(at)
}
// Holds back what may be the start of the tag.
const begun = text.lastIndexOf('<')
if (!last && begun !== -1 && '</body>'.startsWith(text.slice(begun).toLowerCase())) {
  page.kept = text.slice(begun)
  text = text.slice(0, begun)
}
return text
