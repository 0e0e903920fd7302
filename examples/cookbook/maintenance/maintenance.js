// Answers every request with a maintenance page.
exit(503, '<!doctype html><title>Maintenance</title><h1>We are back soon</h1>\n', {
  'Retry-After': String(params.seconds),
  'Cache-Control': 'no-store',
})
