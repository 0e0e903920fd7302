#!/usr/bin/env bash
# Runs `npm test` three times, beside six loops that keep the processors busy: no test may depend on how quick the machine is.
#   npm run test:load                 three runs beside six loops
#   npm run test:load -- 10 0         ten runs, beside none
# Every run is made, whatever came of those before; what failed in each stands at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
runs=${1:-3}
busy=${2:-6}
# Ends what hangs, in seconds.
longest=1100

loops=()
logs=$(mktemp -d)
trap 'kill "${loops[@]}" 2>/dev/null; rm -r "$logs"' EXIT
for ((loop = 0; loop < busy; loop += 1)); do
  timeout $((runs * longest)) node -e 'for (;;);' &
  loops+=($!)
done

summary=()
code=0
for ((run = 1; run <= runs; run += 1)); do
  printf '\n=== run %s of %s, beside %s busy loops ===\n' "$run" "$runs" "$busy"
  begun=$SECONDS
  timeout --kill-after 10 "$longest" npm test 2>&1 | tee "$logs/$run"
  result=${PIPESTATUS[0]}
  if [ "$result" -eq 0 ]; then what=passed; else what="failed with exit code $result" code=1; fi
  if [ "$result" -eq 124 ]; then what="was ended after $longest s"; fi
  summary+=("run $run $what, $((SECONDS - begun)) s" "$(grep -aE 'FAIL|Unhandled' "$logs/$run" | sort -u)")
done
printf '\n'
printf '%s\n' "${summary[@]}" | grep -v '^$'
exit "$code"
