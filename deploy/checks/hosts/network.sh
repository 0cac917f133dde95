# shellcheck shell=bash
# Network of the check: one namespace with the switch and the services of AWS (S3, metadata, parameters), and one for each
# host with a cable of its own to the bridge. The machine's own network is not changed.
#
#   store 10.77.0.1, 169.254.169.254 ── bridge ─┬─ primary 10.77.0.2
#                                               ├─ core1   10.77.0.11
#                                               ├─ core2   10.77.0.12
#                                               └─ plain   10.77.0.13

readonly store_address=10.77.0.1
readonly metadata_address=169.254.169.254
declare -A address=([primary]=10.77.0.2 [core1]=10.77.0.11 [core2]=10.77.0.12 [plain]=10.77.0.13)
readonly hosts=(primary core1 core2 plain)

# Unique on this machine, so that two checks do not collide.
namespace() { echo "lakewright-$$-$1"; }

on_store() { ip netns exec "$(namespace store)" "$@"; }

make_network() {
  local host store near
  store=$(namespace store)
  ip netns add "$store"
  ip -n "$store" link set lo up
  ip -n "$store" link add bridge type bridge
  ip -n "$store" address add "$store_address/24" dev bridge
  ip -n "$store" address add "$metadata_address/32" dev bridge
  ip -n "$store" link set bridge up
  for host in "${hosts[@]}"; do
    near=to-$host
    ip netns add "$(namespace "$host")"
    ip -n "$store" link add "$near" type veth peer name wire netns "$(namespace "$host")"
    ip -n "$store" link set "$near" master bridge up
    ip -n "$(namespace "$host")" link set lo up
    ip -n "$(namespace "$host")" address add "${address[$host]}/24" dev wire
    ip -n "$(namespace "$host")" link set wire up
    ip -n "$(namespace "$host")" route add "$metadata_address" dev wire
  done
}

# The far end stays up, as if the cable were pulled at the switch.
pull() { ip -n "$(namespace store)" link set "to-$1" down; }
plug() { ip -n "$(namespace store)" link set "to-$1" up; }

# The units allow no other port (SocketBindDeny). Debian's systemd does not enforce this, but no
# process requests another port.
listens_on() { ip netns exec "$(namespace "$1")" ss --no-header --listening --tcp --udp --numeric | awk '{ print $1, $5 }'; }

# Whether a request of the host is with its stalled forwarder, which does not read it.
waits_for_s3() {
  ip netns exec "$(namespace store)" ss --no-header --tcp --numeric state established "sport = :${s3_port[$1]}" |
    awk '$1 > 0 { found = 1 } END { exit !found }'
}

remove_network() {
  local host
  for host in store "${hosts[@]}"; do
    ip netns delete "$(namespace "$host")" 2> /dev/null || true
  done
}
