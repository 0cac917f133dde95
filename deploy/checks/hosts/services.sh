# shellcheck shell=bash
# Services of AWS: an S3 server that each host reaches through a forwarder of its own (so that S3 can stall for one host), the
# metadata service, and a parameter store (moto) for the certificates of one host.

readonly server_name=coordinator.lakewright.internal
readonly parameters_port=5000
declare -A s3_port=([primary]=9002 [core1]=9011 [core2]=9012 [plain]=9013) forwarder=()
service_pids=()

start_services() {
  mkdir -p "$scratch/notices" "$scratch/tls"
  # It listens on a port of loopback and prints the variables of AWS.
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

# serve NAME COMMAND…: starts it in the background in the store's namespace; $! is its process.
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

# S3 does not answer one host any more, while its heartbeats still reach the coordinator.
stall_s3_of() { kill -STOP "${forwarder[$1]}"; }
resume_s3_of() { kill -CONT "${forwarder[$1]}"; }

# Creates an authority, certificates of the coordinator (with its name) and of the workers, and a
# worker's certificate of another authority.
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

# Fills the user's bucket: the release, the data, the project with a lake.toml for S3 and three
# workers, the certificates.
fill_store() {
  mkdir -p "$scratch/project"
  cp -r models "$scratch/project/"
  sed 's#^url = "lake"#url = "s3://lakewright/lake"#; s#^url = "data/#url = "s3://lakewright/data/#' lake.toml > "$scratch/project/lake.toml"
  # No speculation, so that a task of a host runs elsewhere only if the host is lost. Small splits,
  # so that every host has tasks.
  printf '%s\n' '[cluster]' 'min_workers = 3' 'lost_after = "2s"' 'speculation = false' >> "$scratch/project/lake.toml"
  sed -i 's/^\[limits\]/[limits]\nsplit_bytes = "200KB"\ntarget_file_bytes = "20KB"/' "$scratch/project/lake.toml"
  local file name files=()
  while read -r file; do files+=("$file" "$file"); done < <(find data/song_data data/log_data -type f)
  while read -r file; do files+=("$file" "${file#"$scratch/"}"); done < <(find "$scratch/project" -type f)
  for name in ca.pem coordinator.pem coordinator.key worker.pem worker.key; do files+=("$scratch/tls/$name" "tls/$name"); done
  for file in "$release"/lakewright-*-linux.tar.gz; do files+=("$file" "release/${file##*/}"); done
  truncate --size 50M "$scratch/large"
  tar --create --gzip --directory "$scratch" --file "$scratch/large.tar.gz" large
  files+=("$scratch/large.tar.gz" "release/${large_release##*/}")
  LAKEWRIGHT_PARAMETERS=$scratch/tls to_store "${files[@]}"
}

# to_store FILE KEY [FILE KEY…]: uploads files to the bucket.
to_store() {
  on_store "$LAKEWRIGHT_VENV/bin/python" "$deploy/checks/hosts/store.py" "$@"
}

# wait_until WHAT COMMAND…: waits at most 30 seconds.
wait_until() {
  local what=$1 _
  shift
  for _ in {1..300}; do
    ! "$@" || return 0
    sleep 0.1
  done
  broken "it did not happen within 30 s: $what"
}

# add_a_song ID: uploads new input and the current project.
add_a_song() {
  local song
  song=$(find data/song_data -name '*.json' -print -quit)
  sed 's/"song_id": "[^"]*"/"song_id": "'"$1"'"/' "$song" > "$scratch/added.json"
  to_store "$scratch/added.json" "data/song_data/$1.json" "$scratch/project/lake.toml" project/lake.toml
}
