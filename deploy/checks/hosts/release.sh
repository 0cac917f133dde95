# shellcheck shell=bash
# The release that the checks install, made of LAKEWRIGHT_BIN by deploy/release and kept until anything in it changes.

# packed_release: the folder with it. Its binaries run on this machine; what they may need elsewhere, 80-release looks at.
packed_release() {
  local key place
  key=$( (cd "$deploy" && find systemd host packaging release emr container -type f -print0 | sort -z | xargs -0 sha256sum
    sha256sum ../Cargo.lock ../LICENSE
    stat --dereference --format '%n %s %Y' "$LAKEWRIGHT_BIN"/{coordinator,worker}) | sha256sum | cut -c1-12)
  place=$LAKEWRIGHT_CACHE/release-$key
  if [[ ! -e $place/SHA256SUMS ]]; then
    # Older ones have no use any more.
    rm -rf "$LAKEWRIGHT_CACHE"/release-*
    mkdir -p "$place.new"
    "$deploy/release" --binaries "$LAKEWRIGHT_BIN" --out "$place.new" --highest-glibc 99 >&2
    rm -rf "$place"
    mv "$place.new" "$place"
  fi
  echo "$place"
}
