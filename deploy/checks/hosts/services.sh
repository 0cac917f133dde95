# shellcheck shell=bash
# What AWS would be: an S3 server that each host reaches by a forwarder of its own (so that one host's S3 can stall), the
# metadata service, and a parameter store by moto for the certificates of one host.

readonly server_name=coordinator.lakewright.internal
readonly parameters_port=5000
declare -A s3_port=([primary]=9002 [core1]=9011 [core2]=9012 [plain]=9013) forwarder=()
service_pids=()

start_services() {
  mkdir -p "$scratch/notices" "$scratch/tls"
  # Its port is one of loopback's; AWS's variables are what it prints.
  serve s3 "$LAKEWRIGHT_BIN/lakewright-s3-server" lakewright
  wait_until "the S3 server starts" test -s "$scratch/s3.log"
  # shellcheck source=/dev/null
  source "$scratch/s3.log"
  export AWS_EC2_METADATA_DISABLED=true
  local host
  for host in "${hosts[@]}"; do
    serve "forwarder-$host" systemd-socket-activate --listen "$store_address:${s3_port[$host]}" \
      /lib/systemd/systemd-socket-proxyd --connections-max=4096 "${AWS_ENDPOINT_URL_S3#http://}"
    forwarder[$host]=$!
  done
  serve metadata "$LAKEWRIGHT_VENV/bin/python" "$deploy/checks/hosts/metadata_service.py" "$metadata_address" 80 "$scratch/notices"
  serve parameters "$LAKEWRIGHT_VENV/bin/moto_server" --host "$store_address" --port "$parameters_port"
  make_certificates
}

# serve NAME COMMAND…: in the store's namespace, in the background, as the process that $! names.
serve() {
  local name=$1
  shift
  (exec ip netns exec "$(namespace store)" "$@") > "$scratch/$name.log" 2>&1 < /dev/null &
  service_pids+=($!)
}

stop_services() {
  local pid
  for pid in "${service_pids[@]}"; do
    kill -CONT "$pid" 2> /dev/null || true
    kill -KILL "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
  done
}

# Requests of one host stay without an answer, and its beats to the coordinator go on.
stall_s3_of() { kill -STOP "${forwarder[$1]}"; }
resume_s3_of() { kill -CONT "${forwarder[$1]}"; }

# An authority, the coordinator's certificate with its name, the workers'; and a worker's of another authority.
make_certificates() {
  local tls=$scratch/tls
  authority "$tls/ca" && authority "$tls/other-ca"
  signed "$tls/coordinator" "$tls/ca" "$server_name"
  signed "$tls/worker" "$tls/ca" worker
  signed "$tls/stranger" "$tls/other-ca" worker
}

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lakewright \
    -addext basicConstraints=critical,CA:TRUE -keyout "$1.key" -out "$1.pem" 2> /dev/null
}

signed() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$3" -keyout "$1.key" -out "$1.csr" 2> /dev/null
  printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial 1 -days 2 -extfile "$1.ext" -out "$1.pem" 2> /dev/null
}

# The user's bucket: the release, the data, the project with its lake.toml for S3 and three workers, the certificates.
fill_store() {
  mkdir -p "$scratch/project"
  cp -r models "$scratch/project/"
  sed 's#^url = "lake"#url = "s3://lakewright/lake"#; s#^url = "data/#url = "s3://lakewright/data/#' lake.toml > "$scratch/project/lake.toml"
  # No rivals: what a host has under way is not done elsewhere unless the host is lost. Small splits, so that all have some.
  printf '%s\n' '[cluster]' 'min_workers = 3' 'lost_after = "2s"' 'speculation = false' >> "$scratch/project/lake.toml"
  sed -i 's/^\[limits\]/[limits]\nsplit_bytes = "200KB"\ntarget_file_bytes = "20KB"/' "$scratch/project/lake.toml"
  on_store "$LAKEWRIGHT_VENV/bin/python" - "$scratch" "$release" << 'PYTHON'
import pathlib, sys
from concurrent.futures import ThreadPoolExecutor
import os
import boto3
scratch, release = map(pathlib.Path, sys.argv[1:])
s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region_name="us-east-1")
folders = {"data/song_data": pathlib.Path("data/song_data"), "data/log_data": pathlib.Path("data/log_data"), "project": scratch / "project"}
files = [(path, f"{key}/{path.relative_to(folder)}") for key, folder in folders.items() for path in folder.rglob("*") if path.is_file()]
files += [(scratch / "tls" / name, f"tls/{name}") for name in ("ca.pem", "coordinator.pem", "coordinator.key", "worker.pem", "worker.key")]
files += [(path, f"release/{path.name}") for path in release.glob("lakewright-*-linux.tar.gz")]
with ThreadPoolExecutor(16) as pool:
    list(pool.map(lambda file: s3.upload_file(str(file[0]), "lakewright", file[1]), files))
ssm = boto3.client("ssm", endpoint_url="http://10.77.0.1:5000", region_name="us-east-1")
for parameter, name in {"ca": "ca.pem", "worker.cert": "worker.pem", "worker.key": "worker.key"}.items():
    ssm.put_parameter(Name=f"/lakewright/{parameter}", Value=(scratch / "tls" / name).read_text(), Type="SecureString")
PYTHON
}

# The same data in one process on folders, to compare with: each table's rows and checksum.
tables_of_one_machine() {
  env -u AWS_ENDPOINT_URL_S3 LAKEWRIGHT__LAKE__URL="$scratch/lake" "$LAKEWRIGHT_BIN/coordinator" --config lake.toml --quiet run
  LAKEWRIGHT__LAKE__URL="$scratch/lake" "$LAKEWRIGHT_BIN/coordinator" --config lake.toml --quiet tables --checksum --jsonlines > "$scratch/expected.raw"
  only_contents < "$scratch/expected.raw" > "$scratch/expected"
  [[ $(wc -l < "$scratch/expected") == 5 ]] || broken "the run on folders made other than five tables: $(cat "$scratch/expected.raw")"
}

# Files and bytes depend on how many did the work; rows and their checksum do not.
only_contents() {
  "$LAKEWRIGHT_VENV/bin/python" -c 'import json, sys
for line in sys.stdin:
    table = json.loads(line)
    print(table["table"], table["rows"], table["checksum"])'
}

# wait_until WHAT COMMAND…: at most 30 seconds.
wait_until() {
  local what=$1 _
  shift
  for _ in {1..300}; do
    ! "$@" || return 0
    sleep 0.1
  done
  broken "it did not happen within 30 s: $what"
}
