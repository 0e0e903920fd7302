// Answers preflight requests. allow.js decides which origins may read responses.
exit(204, undefined, {
  'Access-Control-Allow-Methods': params.methods,
  'Access-Control-Allow-Headers': params.headers,
  'Access-Control-Max-Age': '600',
})
