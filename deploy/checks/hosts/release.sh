# shellcheck shell=bash
# The release that the checks install. deploy/release builds it from LAKEWRIGHT_BIN; it is kept until its contents change.

# packed_release: the folder with it, and with what it unpacks to in `unpacked`. Its binaries run on
# this machine; what they may need elsewhere, 80-release looks at.
packed_release() {
  local key place packing
  # Another check may be packing it at the same time.
  exec {packing}> "$LAKEWRIGHT_CACHE/release.lock"
  flock "$packing"
  # Without README.md and CHANGELOG.md, which the wheel and the deb contain: a new wording must not
  # start the machines of 60-hosts anew.
  key=$( (cd "$deploy" && find systemd host packaging release container/Containerfile emr/bootstrap.sh -type f -print0 | sort -z | xargs -0 sha256sum
    sha256sum ../Cargo.{lock,toml} ../LICENSE
    stat --dereference --format '%n %s %Y' "$LAKEWRIGHT_BIN"/{coordinator,worker}) | sha256sum | cut -c1-12)
  place=$LAKEWRIGHT_CACHE/release-$key
  if [[ ! -e $place/SHA256SUMS ]]; then
    # Older releases are no longer needed.
    rm -rf "$LAKEWRIGHT_CACHE"/release-*
    mkdir -p "$place.new/unpacked"
    "$deploy/release" --binaries "$LAKEWRIGHT_BIN" --out "$place.new" --highest-glibc 99 \
      --ca-bundle "$("$LAKEWRIGHT_VENV/bin/python" -m certifi)" >&2 || return
    tar --extract --gzip --strip-components 1 --directory "$place.new/unpacked" --file "$place.new"/lakewright-*-linux.tar.gz
    rm -rf "$place"
    mv "$place.new" "$place"
  fi
  flock --unlock "$packing"
  echo "$place"
}
