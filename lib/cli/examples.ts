/** What people call each command for; `dynacode help` shows it. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = Object.freeze({
  init: ['dynacode init shop-plugins'],
  check: ['dynacode check plugins', 'dynacode check a.json b.json --allow fails-open', 'curl … | dynacode check -'],
  pack: ['dynacode pack plugins -o plugins.json'],
  unpack: ['dynacode unpack plugins.json plugins'],
  diff: ['dynacode diff plugins.json plugins', 'dynacode diff https://api.example/plugins.json plugins'],
  run: [
    'dynacode run plugins GET http://shop.example/cart',
    'dynacode run plugins POST http://shop.example/ -H "Accept: text/html" -d "a=1" --ip 10.0.0.1',
  ],
  serve: ['dynacode serve plugins', 'dynacode serve plugins --port 0'],
  keygen: ['dynacode keygen keys'],
  sign: ['dynacode sign plugins --key keys/private.json --document-version now --expires 30d -o plugins.json'],
  'debug-token': ['dynacode debug-token --key keys/private.json --expires 30m --host shop.example'],
  verify: ['dynacode verify plugins.json --keys keys/trusted-keys.json'],
  status: ['dynacode status http://127.0.0.1:3000', 'dynacode status http://10.0.0.1:3000 http://10.0.0.2:3000'],
  refresh: ['dynacode refresh http://127.0.0.1:3000'],
  disable: ['dynacode disable http://127.0.0.1:3000'],
  enable: ['dynacode enable http://127.0.0.1:3000'],
  completion: ['dynacode completion bash >> ~/.bashrc'],
})

/** How every command ends. */
export const EXIT_CODES = `Exit codes:
  0  all is well
  1  something was found, failed or needs attention
  2  wrong usage, or something cannot be read`
