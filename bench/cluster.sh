#!/usr/bin/env bash
# Runs a coordinator and workers with one core each on this machine. Exits with the code of the
# coordinator.
#   bench/cluster.sh COORDINATOR WORKERS CONFIG
# The worker binary must be in the folder of the coordinator binary.
set -euo pipefail

coordinator=$1 workers=$2 config=$3
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
started=()
for i in $(seq "$workers"); do
  "$(dirname "$coordinator")/worker" --coordinator "127.0.0.1:$port" --name "worker-$i" --vcores 1 &
  started+=($!)
done
rc=0
LAKEWRIGHT__CLUSTER__LISTEN=127.0.0.1:$port LAKEWRIGHT__CLUSTER__MIN_WORKERS=$workers \
  "$coordinator" --config "$config" || rc=$?
kill -TERM "${started[@]}"
wait
exit $rc
