# shellcheck shell=bash
# Tools that a check needs, and functions that report its results.

began=$EPOCHREALTIME

said() {
  printf '  %5.1f s  %s\n' "$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')" "$1"
}

# A check that cannot run exits with 77.
skip() {
  printf 'skipped: %s\n' "$1"
  exit 77
}

broken() {
  printf 'does not hold: %s\n' "$1" >&2
  exit 1
}

# need COMMAND PACKAGE: installs the package in CI; elsewhere prints the command that installs it.
need() {
  [[ -z $(type -P "$1" || PATH=/usr/sbin:/sbin type -P "$1") ]] || return 0
  if [[ ${CI:-} == true && $(id -u) == 0 ]]; then
    local installing
    # One at a time, because apt refuses to run twice.
    exec {installing}> "$LAKEWRIGHT_CACHE/apt.lock"
    flock "$installing"
    { [[ -e $LAKEWRIGHT_CACHE/apt-updated ]] || apt-get update; } > "$LAKEWRIGHT_CACHE/apt.log" 2>&1 && touch "$LAKEWRIGHT_CACHE/apt-updated"
    if DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$2" >> "$LAKEWRIGHT_CACHE/apt.log" 2>&1; then
      flock --unlock "$installing"
      return 0
    fi
    flock --unlock "$installing"
  fi
  skip "there is no \`$1\`: apt-get install $2"
}

need_root() {
  [[ $(id -u) == 0 ]] || skip "it needs root, for namespaces and for systemd-nspawn"
}

need_binaries() {
  local binary
  for binary in coordinator worker lakewright-s3-server; do
    [[ -x $LAKEWRIGHT_BIN/$binary ]] || skip "there is no \`$LAKEWRIGHT_BIN/$binary\`: cargo build --profile quick, or set LAKEWRIGHT_BIN"
  done
}

# all_of PID…: waits, and fails if one of them failed.
all_of() {
  local pid failed=0
  for pid in "$@"; do wait "$pid" || failed=1; done
  ((failed == 0)) || exit 1
}
