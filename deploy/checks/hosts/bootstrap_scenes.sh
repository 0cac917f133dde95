# shellcheck shell=bash
# Scenes of bootstrap.sh on each host: its errors if it cannot work, and its result.

# bootstrap_on HOST [ARGUMENT…]: runs it with the arguments of the host's kind; further arguments
# replace these or add to them. It runs as hadoop, unless `bootstrap_as` is another user.
bootstrap_on() {
  local host=$1 tarball
  shift
  tarball=$(basename "$release"/lakewright-*-linux.tar.gz)
  local arguments=(--release "s3://lakewright/release/$tarball" --sha256 "$(awk -v name="$tarball" '$2 == name { print $1 }' "$release/SHA256SUMS")")
  case $host in
    primary) arguments+=(--certificates s3://lakewright/tls/ --project s3://lakewright/project/) ;;
    core*) arguments+=(--certificates s3://lakewright/tls/ --memory 1GB) ;;
    # An instance of plain EC2: its user data contains the role; the certificates are in the
    # parameter store.
    plain) arguments+=(--role worker --coordinator "${address[primary]}:50051" --certificates ssm:/lakewright) ;;
  esac
  "${bootstrap_as:-as_hadoop_on}" "$host" env AWS_ENDPOINT_URL_S3="http://$store_address:${s3_port[$host]}" AWS_ENDPOINT_URL_SSM="http://$store_address:$parameters_port" \
    LAKEWRIGHT_BOOTSTRAP_LIMIT="${bootstrap_limit:-300}" bash /srv/bootstrap.sh "${arguments[@]}" "$@" > "$scratch/$host.bootstrap" 2>&1 < /dev/null
}

# bootstrap_fails HOST PATTERN [ARGUMENT…]: it must exit with 1 within a minute, and only its last
# line gives the reason.
bootstrap_fails() {
  local host=$1 pattern=$2 status=0 from=$SECONDS last
  shift 2
  bootstrap_on "$host" "$@" || status=$?
  last=$(tail -n 1 "$scratch/$host.bootstrap")
  [[ $status == 1 ]] || broken "bootstrap ended with $status on $host, where it is to say: $pattern"
  [[ $last =~ ^bootstrap:\ error:\ .*$pattern ]] || broken "the last line of bootstrap on $host is not about $pattern: $last"
  [[ $(grep -c '^bootstrap: error:' "$scratch/$host.bootstrap") == 1 ]] || broken "bootstrap has more than one error: $(cat "$scratch/$host.bootstrap")"
  ((SECONDS - from < 60)) || broken "bootstrap took $((SECONDS - from)) s to fail"
}

# Quick to download, but too large for core2's disk.
large_release=s3://lakewright/release/lakewright-0.0.0-$(uname -m)-linux.tar.gz

# All errors of bootstrap.sh that are tried on a host before it succeeds there.
fails_as_it_should() {
  case $1 in
    core1)
      # shellcheck disable=SC2016
      bootstrap_fails core1 'unknown argument `--colour`' --colour red
      bootstrap_fails core1 'the checksum of .* is [0-9a-f]{64}, not 0{64}$' --release "$large_release" --sha256 "$(printf '0%.0s' {1..64})"
      bootstrap_fails core1 'lakewright-worker.service. did not become ready: exit-code$' --memory 1XB
      ;;
    core2)
      bootstrap_fails core2 'no space on the disk of ./opt/lakewright.: the release needs [0-9]+ MB, [0-9]+ MB are free$' \
        --release "$large_release" --sha256 "$(sha256sum < "$scratch/large.tar.gz" | cut -d ' ' -f 1)"
      as_root_on core2 mount -o remount,size=2G /opt
      ;;
    plain)
      # A subnet without a route to S3, which still has the metadata service. Then no network at
      # all.
      ip -n "$(namespace plain)" route add unreachable "$store_address"
      bootstrap_fails plain 'installing the release: .aws s3 cp. failed: .*Could not connect to the endpoint URL'
      ip -n "$(namespace plain)" route delete unreachable "$store_address"
      bootstrap_limit=0.5 bootstrap_fails plain 'not done after 0.5 s$'
      pull plain
      bootstrap_fails plain 'no network, or not on EC2: .* does not answer'
      plug plain
      ;;
    primary)
      # shellcheck disable=SC2016
      bootstrap_fails primary 'there is no `lake.toml` at `s3://lakewright/tls/`$' --project s3://lakewright/tls/
      ;;
  esac
}

bootstrap_ends_well() {
  local host=$1 from=$SECONDS
  bootstrap_on "$@" || broken "bootstrap failed on $host: $(tail -n 3 "$scratch/$host.bootstrap")"
  [[ $(tail -n 1 "$scratch/$host.bootstrap") == 'bootstrap: done: '* ]] || broken "bootstrap on $host does not say that it is done"
  ((SECONDS - from < 30)) || broken "bootstrap took $((SECONDS - from)) s on $host"
}

# On each host: first it fails as expected, then it sets up the host, and then it has nothing left
# to do.
bring_up_hosts() {
  local host jobs=()
  for host in "${hosts[@]}"; do bring_up "$host" & jobs+=($!); done
  all_of "${jobs[@]}"
}

bring_up() {
  local host=$1 before
  as_root_on "$host" ps -e -o user=,comm= | sort -u > "$scratch/$host.processes"
  fails_as_it_should "$host"
  bootstrap_ends_well "$host"
  case $host in
    primary) return ;;
    core1) watcher_is_confined ;;
  esac
  # The installation is kept: no download, no restart. Root runs user data.
  before=$(invocation "$host")
  if [[ $host == plain ]]; then bootstrap_as=as_root_on bootstrap_ends_well "$host"; else bootstrap_ends_well "$host"; fi
  [[ $(invocation "$host") == "$before" ]] || broken "the second bootstrap started the worker of $host anew"
}

hosts_are_as_they_should() {
  local host
  for host in core1 core2 plain; do
    [[ $(as_root_on "$host" systemctl is-active lakewright-worker lakewright-spot lakewright-drain.path) == $'active\nactive\nactive' ]] ||
      broken "the units of $host are not active"
    [[ $(as_root_on "$host" stat --format '%a %U' /etc/lakewright/tls/worker.key) == '400 root' ]] || broken "the key of $host is not root's alone"
    [[ -z $(listens_on "$host") ]] || broken "$host listens: $(listens_on "$host")"
    as_root_on "$host" grep -qx "${address[primary]} $server_name # lakewright" /etc/hosts || broken "$host does not know the coordinator's name"
  done
  says core1 lakewright-worker memory_bytes=1000000000 || broken "--memory did not reach the worker"
  [[ $(as_root_on primary stat --format '%a %G' /etc/lakewright/tls/coordinator.key) == '440 hadoop' ]] || broken "EMR's step cannot read the coordinator's key"
  [[ $(as_root_on primary systemctl is-active lakewright-run.timer lakewright-worker) == $'inactive\ninactive' ]] || broken "something runs on the primary before its step"
  # Root runs the same processes as before, and no others.
  for host in "${hosts[@]}"; do
    as_root_on "$host" ps -e -o user=,comm= | sort -u | comm -13 "$scratch/$host.processes" - > "$scratch/new"
    ! grep '^root' "$scratch/new" || broken "bootstrap left a process of root on $host"
    [[ -z $(as_root_on "$host" find /tmp -name 'tmp.*') ]] || broken "bootstrap left what it fetched on $host"
    ! as_root_on "$host" pgrep --uid root --full lakewright || broken "something of Lakewright runs as root on $host"
  done
}

# The spot watcher can reach only the metadata service: no other address answers its processes.
watcher_is_confined() {
  local group=/sys/fs/cgroup/system.slice/lakewright-spot.service/cgroup.procs
  # asks SECONDS COMMAND URL: requests the URL after the command
  asks() { as_root_on core1 bash -c "$2; exec curl --silent --output /dev/null --max-time $1 $3"; }
  asks 10 : "http://$store_address:${s3_port[core1]}" || broken "core1 does not reach S3"
  asks 10 "echo \$\$ > $group" "http://$metadata_address" || broken "the spot watcher does not reach the metadata service"
  ! asks 1 "echo \$\$ > $group" "http://$store_address:${s3_port[core1]}" || broken "the spot watcher reaches other than the metadata service"
}
