#!/usr/bin/env bash
# Loads documents of JSONBench's shape with several engines, runs JSONBench's five queries, and shows which documents each
# engine lost and whether it can name the bad lines.
#   bench/jsonbench/run.sh DOCUMENTS [ENGINE…]       ENGINE: lakewright, duckdb, chdb, polars; default: all of them
# Builds nothing. Takes the variables LAKEWRIGHT_BIN, SHARED_BENCH, WORK and RUNS of bench/run.sh, and BAD_LINES (100).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
documents=${1:?"name a number of documents, such as 1000000"}; shift
engines=("$@"); [ $# -gt 0 ] || engines=(lakewright duckdb chdb polars)

coordinator=${LAKEWRIGHT_BIN:-$repository/target/release/coordinator}
shared=$(cd "${SHARED_BENCH:-$repository/../shared/bench}" && pwd)
work=${WORK:-${TMPDIR:-/tmp}/lakewright-peers}
python=$work/venv/bin/python
data=$work/data/jsonbench-$documents
results=$work/results/jsonbench-$documents.jsonl

if [ ! -x "$python" ]; then
  echo "error: there is no \`$python\`" >&2
  echo "hint: \`bench/run.sh T\` installs the peers" >&2
  exit 2
fi
if [ ! -d "$data" ]; then
  rm -rf "$data.part"
  python3 "$here/generate.py" "$data.part" --documents "$documents" --bad-lines "${BAD_LINES:-100}"
  mv "$data.part" "$data"
fi
mkdir -p "$work/out" "$work/results"
rm -f "$results"
cat "$data"/bluesky/* > /dev/null   # Reads everything once, to warm the page cache.

# Runs one step of one engine and adds its measurements and its output to the results.
step() {
  local engine=$1 action=$2 run=$3 out=$work/out/$1-jsonbench-$documents answer=$work/out/$1-jsonbench.json
  local command=("$python" "$here/peer.py" "$action" "$engine" "$data" "$out")
  if [ "$engine" = lakewright ]; then
    command=(env "LAKEWRIGHT__LAKE__URL=$out/lake" "LAKEWRIGHT__SOURCES__BLUESKY__URL=$data/bluesky"
             "$python" "$here/lakewright.py" "$action" "$coordinator" "$here/lake.toml")
  fi
  [ "$action" = query ] || { rm -rf "$out"; mkdir -p "$out"; }
  local figures
  figures=$("$python" "$shared/measure.py" --label "engine=$engine" --label "action=$action" --label "run=$run" --log "$answer" -- "${command[@]}") || true
  "$python" - "$figures" "$answer" >> "$results" << 'END'
import json, sys
lines = open(sys.argv[2]).read().strip().splitlines()
print(json.dumps({"figures": json.loads(sys.argv[1]), "answer": json.loads(lines[-1]) if lines and lines[-1][:1] in "{[0123456789" else None, "log": lines[-3:]}))
END
}

for run in $(seq "${RUNS:-3}"); do
  for engine in "${engines[@]}"; do
    step "$engine" load "$run"
    step "$engine" query "$run"
  done
done
"$python" "$here/report.py" "$results" "$data/expected.json"
