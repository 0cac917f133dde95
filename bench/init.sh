#!/usr/bin/env bash
# Times `coordinator init --all`, which reads every record, and DuckDB's inference of a schema from the same files, in turn.
#   bench/init.sh [INPUT…]
#   INPUT  events (1 million events in 30 files), songs (15,000 small files), documents (1 million documents of JSONBench's
#          shape in one gzip file); default: all of them
# `duckdb-all` reads every record, as `init` does. `duckdb` reads a sample, as is its default. Builds nothing.
# Takes the variables LAKEWRIGHT_BIN, SHARED_BENCH, WORK and RUNS of bench/run.sh.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/.." && pwd)
inputs=("$@"); [ $# -gt 0 ] || inputs=(events songs documents)
coordinator=${LAKEWRIGHT_BIN:-$repository/target/release/coordinator}
shared=$(cd "${SHARED_BENCH:-$repository/../shared/bench}" && pwd)
work=${WORK:-${TMPDIR:-/tmp}/lakewright-peers}
python=$work/venv/bin/python
results=$work/results/init.jsonl

if [ ! -x "$coordinator" ]; then
  echo "error: \`$coordinator\` is not a program" >&2
  echo "hint: build it with \`cargo build --release --bin coordinator\`, or set LAKEWRIGHT_BIN to another one" >&2
  exit 2
fi
mkdir -p "$work/data" "$work/results" "$work/out"
if [ ! -x "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q -r "$here/requirements.txt"
fi
rm -f "$results"

# Prints the folder of an input, and generates it if it does not exist.
folder_of() {
  local input=$1 data=$work/data/M
  [ "$input" != documents ] || data=$work/data/jsonbench-1000000
  if [ ! -d "$data" ]; then
    rm -rf "$data.part"
    case $input in
      documents) python3 "$here/jsonbench/generate.py" "$data.part" --documents 1000000 --bad-lines 100 ;;
      *) python3 "$shared/generate.py" "$data.part" --songs 15000 --events 1000000 --users 10000 --days 30 ;;
    esac >&2
    mv "$data.part" "$data"
  fi
  case $input in
    events) echo "$data/log_data" ;;
    songs) echo "$data/song_data" ;;
    documents) echo "$data/bluesky" ;;
    *) echo "error: unknown input \`$input\`" >&2; exit 2 ;;
  esac
}

# Runs one engine once, and adds its measurements to the results.
measure() {
  local engine=$1 input=$2 folder=$3 run=$4 options=""
  local command=("$coordinator" --quiet init "$folder" --all --out "$work/out/init")
  rm -rf "$work/out/init"
  [ "$input" != documents ] || options+=", ignore_errors = true"
  [ "$engine" != duckdb-all ] || options+=", sample_size = -1, maximum_sample_files = 1000000"
  if [ "$engine" != lakewright ]; then
    command=("$python" -c "import duckdb; print(duckdb.sql(\"DESCRIBE SELECT * FROM read_json('$folder/**'$options)\"))")
  fi
  "$python" "$shared/measure.py" --label "engine=$engine" --label "input=$input" --label "run=$run" \
    --log "$work/results/init-$engine-$input.log" -- "${command[@]}" >> "$results" || true
}

for input in "${inputs[@]}"; do
  folder=$(folder_of "$input")
  find "$folder" -type f -exec cat {} + > /dev/null   # Reads everything once, to warm the page cache.
  for run in $(seq "${RUNS:-3}"); do
    for engine in lakewright duckdb-all duckdb; do
      measure "$engine" "$input" "$folder" "$run"
    done
  done
done

"$python" - "$results" << 'END'
import collections, json, statistics, sys
rows = collections.defaultdict(list)
for line in open(sys.argv[1]):
    figures = json.loads(line)
    rows[figures["input"], figures["engine"]].append(figures)
print("| input | engine | CPU s | wall s | peak RSS MiB | load of the machine | exit |\n|---|---|---|---|---|---|---|")
for (name, engine), runs in rows.items():
    cpu, wall, peak, load = (statistics.median(run[key] for run in runs) for key in ["cpu_s", "wall_s", "peak_tree_mib", "load1"])
    codes = ", ".join(sorted({str(run["rc"]) for run in runs}))
    print(f"| {name} | {engine} | {cpu:.1f} | {wall:.1f} | {peak:.0f} | {load:.1f} | {codes} |")
END
