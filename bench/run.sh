#!/usr/bin/env bash
# Runs Lakewright and its peers on the same job in turn, checks that all answers are equal, and
# prints a table of the results.
#   bench/run.sh SIZE [ENGINE…]
#   SIZE    S (the real set), T (tiny), M, L
#   ENGINE  lakewright, lakewright-512MB (with a memory limit of 512 MB), lakewright-2workers (a coordinator and two
#           workers with one core each), duckdb, duckdb-text, datafusion-distinct, polars, daft, chdb, sail, spark;
#           default: all of them, and peers that cannot be installed here are left out
# Builds nothing. bench/README.md lists the variables of the environment.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
size=${1:?"name a size: S, T, M or L"}; shift
engines=("$@")

coordinator=${LAKEWRIGHT_BIN:-$repository/target/release/coordinator}
shared=$(cd "${SHARED_BENCH:-$repository/../shared/bench}" && pwd)
work=${WORK:-${TMPDIR:-/tmp}/lakewright-peers}
runs=${RUNS:-3}
data=$work/data/$size
python=$work/venv/bin/python

if [ ! -x "$coordinator" ]; then
  echo "error: \`$coordinator\` is not a program" >&2
  echo "hint: build it with \`cargo build --release --bin coordinator\`, or set LAKEWRIGHT_BIN to another one" >&2
  exit 2
fi
mkdir -p "$work/data" "$work/out" "$work/results"
work=$(cd "$work" && pwd)

# Installs the peers once: those of requirements.txt, then each of the others if it can be installed.
# Sail has an environment of its own, because it needs another version of PySpark.
prepare_peers() {
  [ -e "$work/peers.txt" ] && return
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q -r "$repository/bench/requirements.txt"
  local peers=(duckdb duckdb-text datafusion-distinct polars) package
  for package in $(grep -v '^#' "$repository/bench/requirements-optional.txt"); do
    "$work/venv/bin/pip" install -q "$package" || continue
    case $package in
      pyspark==*) java -version > /dev/null 2>&1 && peers+=(spark) ;;
      *) peers+=("${package%%==*}") ;;
    esac
  done
  python3 -m venv "$work/venv-sail"
  "$work/venv-sail/bin/pip" install -q -r "$repository/bench/requirements-sail.txt" && peers+=(sail)
  printf '%s\n' "${peers[@]}" > "$work/peers.txt"
}

# Generates the data once. The folder gets its name when it is complete, so that an aborted attempt
# is never used as data.
prepare_data() {
  [ -d "$data" ] && return
  local part=$data.part
  rm -rf "$part"
  case $size in
    S) mkdir -p "$part" && cp -r "$shared/../data/sparkify/song_data" "$shared/../data/sparkify/log_data" "$part/" \
         && chmod -R u+w "$part" && find "$part" -mindepth 1 -name '.*' -prune -exec rm -rf {} + ;;
    T) python3 "$shared/generate.py" "$part" --songs 500 --events 20000 --users 300 --days 5 ;;
    M) python3 "$shared/generate.py" "$part" --songs 15000 --events 1000000 --users 10000 --days 30 ;;
    L) python3 "$shared/generate.py" "$part" --songs 15000 --events 5000000 --users 50000 --days 30 ;;
    *) echo "error: unknown size \`$size\`" >&2; exit 2 ;;
  esac
  mv "$part" "$data"
}

# Copies the project's lake.toml with other folders.
write_configuration() {
  sed -e "s|^url = \"lake\"|url = \"$2\"|" -e "s|^url = \"data/|url = \"$data/|" \
      -e "s|^sql = \"models/|sql = \"$repository/models/|" "$repository/lake.toml" > "$1/lake.toml"
  ln -sfn "$repository/models" "$1/models"
}

# Runs one engine once. Prints its measurements as a line of JSON and leaves its tables in the
# folder $out.
measure() {
  local engine=$1 run=$2 out=$3
  local label=(--label "engine=$engine" --label "size=$size" --label part=full --label "run=$run")
  local log=$work/results/$engine-$size.log
  local script=() limit=() workers=0
  case $engine in
    lakewright) ;;
    lakewright-*workers) workers=${engine#lakewright-} workers=${workers%workers} ;;
    lakewright-*MB) limit=("LAKEWRIGHT__LIMITS__MEMORY=${engine#lakewright-}") ;;
    duckdb-text) script=(duckdb_etl.py --text) ;;
    datafusion-distinct) script=(datafusion_etl.py --distinct) ;;
    *) script=("${engine}_etl.py") ;;
  esac
  if [ ${#script[@]} -gt 0 ]; then
    local interpreter=$python
    [ "$engine" = sail ] && interpreter=$work/venv-sail/bin/python
    "$python" "$shared/measure.py" "${label[@]}" --log "$log" -- \
      "$interpreter" "$shared/${script[0]}" "$data" "$out" "${script[@]:1}"
    return
  fi
  local lake=$work/lakes/$engine-$size
  rm -rf "$lake"; mkdir -p "$lake"
  write_configuration "$lake" "$lake/lake"
  local rc=0
  local command=("$coordinator" --config "$lake/lake.toml")
  [ "$workers" = 0 ] || command=("$repository/bench/cluster.sh" "$coordinator" "$workers" "$lake/lake.toml")
  "$python" "$shared/measure.py" "${label[@]}" --log "$log" -- env "${limit[@]}" "${command[@]}" || rc=$?
  [ $rc -ne 0 ] || "$python" "$repository/bench/current_files.py" "$lake/lake" "$out" >&2
  return $rc
}

prepare_data
prepare_peers
if [ ${#engines[@]} -eq 0 ]; then
  mapfile -t engines < <(printf '%s\n' lakewright lakewright-512MB lakewright-2workers; cat "$work/peers.txt")
fi
results=$work/results/lakewright-$size.jsonl
[ -z "${KEEP:-}" ] && rm -f "$results"
find "$data" -name '*.json' -exec cat {} + > /dev/null   # Reads everything once, to warm the page cache.
for run in $(seq "$runs"); do
  for engine in "${engines[@]}"; do
    out=$work/out/$engine-$size
    rm -rf "$out"
    figures=$(measure "$engine" "$run" "$out") || true
    answer=$("$python" "$shared/check.py" "$out") || answer=null
    echo "{\"figures\": ${figures:-null}, \"answer\": $answer}" | tee -a "$results"
  done
done
report=$("$python" "$shared/report.py" "$results")
echo "$report"
if grep -qE '\| DIFFER \||^failed:' <<< "$report"; then
  echo "error: answers differ or a run failed" >&2
  exit 1
fi
