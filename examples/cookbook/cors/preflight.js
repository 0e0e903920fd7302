// Answers the question that browsers ask before the request itself. allow.js says who may.
exit(204, undefined, {
  'Access-Control-Allow-Methods': params.methods,
  'Access-Control-Allow-Headers': params.headers,
  'Access-Control-Max-Age': '600',
})
