# shellcheck shell=bash
# What happens on the hosts, scene by scene.
# shellcheck disable=SC2329 # What wait_until asks is called by its name.

boot_hosts() {
  local host
  mkdir -p "$scratch/hosts"
  for host in "${hosts[@]}"; do make_host "$host"; done
  like_emr primary true
  like_emr core1 false
  like_emr core2 false
  # In memory, and on core2 at first too small for a release.
  boot primary --tmpfs=/opt
  boot core1 --tmpfs=/opt
  boot core2 --tmpfs=/opt:size=20M
  boot plain --tmpfs=/opt
}

wait_for_hosts() {
  local host
  for host in "${hosts[@]}"; do booted "$host"; done
}

# --- bootstrap.sh ---

# bootstrap_on HOST [ARGUMENT…]: as the host's kind is brought up; what stands behind replaces or adds. As hadoop, unless
# `bootstrap_as` says otherwise.
bootstrap_on() {
  local host=$1 tarball
  shift
  tarball=$(basename "$release"/lakewright-*-linux.tar.gz)
  local arguments=(--release "s3://lakewright/release/$tarball" --sha256 "$(awk -v name="$tarball" '$2 == name { print $1 }' "$release/SHA256SUMS")")
  case $host in
    primary) arguments+=(--certificates s3://lakewright/tls/ --project s3://lakewright/project/) ;;
    core*) arguments+=(--certificates s3://lakewright/tls/ --memory 1GB) ;;
    # An instance of plain EC2: its user data says the role; the certificates are in the parameter store.
    plain) arguments+=(--role worker --coordinator "${address[primary]}:50051" --certificates ssm:/lakewright) ;;
  esac
  "${bootstrap_as:-as_hadoop_on}" "$host" env AWS_ENDPOINT_URL_S3="http://$store_address:${s3_port[$host]}" AWS_ENDPOINT_URL_SSM="http://$store_address:$parameters_port" \
    LAKEWRIGHT_BOOTSTRAP_LIMIT="${bootstrap_limit:-300}" bash /srv/bootstrap.sh "${arguments[@]}" "$@" > "$scratch/$host.bootstrap" 2>&1 < /dev/null
}

# bootstrap_fails HOST PATTERN [ARGUMENT…]: it ends with 1 within a minute, and its last line alone says why.
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

# Fast to fetch, and too large for core2's disk.
large_release=s3://lakewright/release/lakewright-0.0.0-$(uname -m)-linux.tar.gz

bootstrap_says_what_is_wrong() {
  local host jobs=()
  for host in "${hosts[@]}"; do
    as_root_on "$host" ps -e -o user=,comm= | sort -u > "$scratch/$host.processes"
  done
  {
    # shellcheck disable=SC2016
    bootstrap_fails core1 'unknown argument `--colour`' --colour red
    bootstrap_fails core1 'the checksum of .* is [0-9a-f]{64}, not 0{64}$' --release "$large_release" --sha256 "$(printf '0%.0s' {1..64})"
    bootstrap_fails core1 'lakewright-worker.service. did not become ready: exit-code$' --memory 1XB
  } & jobs+=($!)
  {
    bootstrap_fails core2 'no space on the disk of ./opt/lakewright.: the release needs [0-9]+ MB, [0-9]+ MB are free$' \
      --release "$large_release" --sha256 "$(sha256sum < "$scratch/large.tar.gz" | cut -d ' ' -f 1)"
  } & jobs+=($!)
  {
    # A subnet without a way to S3: the metadata service is there all the same. And no network at all.
    ip -n "$(namespace plain)" route add unreachable "$store_address"
    bootstrap_fails plain 'installing the release: .aws s3 cp. failed: .*Could not connect to the endpoint URL'
    ip -n "$(namespace plain)" route delete unreachable "$store_address"
    bootstrap_limit=0.5 bootstrap_fails plain 'not done after 0.5 s$'
    pull plain
    bootstrap_fails plain 'no network, or not on EC2: .* does not answer'
    plug plain
  } & jobs+=($!)
  # shellcheck disable=SC2016
  { bootstrap_fails primary 'there is no `lake.toml` at `s3://lakewright/tls/`$' --project s3://lakewright/tls/; } & jobs+=($!)
  all_of "${jobs[@]}"
  as_root_on core2 mount -o remount,size=2G /opt
}

# all_of PID…: each of them ends well.
all_of() {
  local pid failed=0
  for pid in "$@"; do wait "$pid" || failed=1; done
  ((failed == 0)) || exit 1
}

bootstrap_ends_well() {
  local host=$1 from=$SECONDS
  bootstrap_on "$@" || broken "bootstrap failed on $host: $(tail -n 3 "$scratch/$host.bootstrap")"
  [[ $(tail -n 1 "$scratch/$host.bootstrap") == 'bootstrap: done: '* ]] || broken "bootstrap on $host does not say that it is done"
  ((SECONDS - from < 30)) || broken "bootstrap took $((SECONDS - from)) s on $host"
}

bootstrap_all_hosts() {
  local host jobs=()
  for host in "${hosts[@]}"; do bootstrap_ends_well "$host" & jobs+=($!); done
  all_of "${jobs[@]}"
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
}

# What was in place stays: no download, no restart; and root runs what it ran before, and nothing else.
bootstrap_again() {
  local host jobs=() before=()
  for host in core1 core2 plain; do before+=("$(invocation "$host")"); done
  for host in core1 core2; do bootstrap_ends_well "$host" & jobs+=($!); done
  watcher_is_confined & jobs+=($!)
  # User data is run by root.
  bootstrap_as=as_root_on bootstrap_ends_well plain & jobs+=($!)
  all_of "${jobs[@]}"
  for host in core1 core2 plain; do
    [[ $(invocation "$host") == "${before[0]}" ]] || broken "the second bootstrap started the worker of $host anew"
    before=("${before[@]:1}")
  done
  for host in "${hosts[@]}"; do
    as_root_on "$host" ps -e -o user=,comm= | sort -u | comm -13 "$scratch/$host.processes" - > "$scratch/new"
    ! grep '^root' "$scratch/new" || broken "bootstrap left a process of root on $host"
    [[ -z $(as_root_on "$host" find /tmp -name 'tmp.*') ]] || broken "bootstrap left what it fetched on $host"
    ! as_root_on "$host" pgrep --uid root --full lakewright || broken "something of Lakewright runs as root on $host"
  done
}

# The spot watcher speaks to the metadata service alone: from among its processes nothing else answers.
watcher_is_confined() {
  local group=/sys/fs/cgroup/system.slice/lakewright-spot.service/cgroup.procs
  asks() { as_root_on core1 bash -c "$1; exec curl --silent --output /dev/null --max-time 1 $2"; }
  asks : "http://$store_address:${s3_port[core1]}" || broken "core1 does not reach S3"
  asks "echo \$\$ > $group" "http://$metadata_address" || broken "the spot watcher does not reach the metadata service"
  ! asks "echo \$\$ > $group" "http://$store_address:${s3_port[core1]}" || broken "the spot watcher reaches other than the metadata service"
}

invocation() { as_root_on "$1" systemctl show --property InvocationID --value lakewright-worker; }

# --- runs ---

# The units allow no other port (SocketBindDeny), which Debian's systemd does not enforce; nobody asks for one either.
listens_on() { ip netns exec "$(namespace "$1")" ss --no-header --listening --tcp --udp --numeric | awk '{ print $1, $5 }'; }

asks_s3() { [[ -n $(ip netns exec "$(namespace "$1")" ss --no-header --tcp --numeric state established "dport = :${s3_port[$1]}") ]]; }

# Restart=on-failure: the run that follows begins with three workers, so the one that is killed here must come back by itself.
kill_a_worker() {
  killed=$(invocation plain)
  as_root_on plain systemctl kill --signal KILL lakewright-worker
}

killed_worker_is_back() {
  [[ $(invocation plain) != "$killed" && $(as_root_on plain systemctl is-active lakewright-worker) == active ]] || broken "the killed worker is not back"
  says plain lakewright-worker 'start 2 within 10 minutes: waiting 1 s' || broken "the restart did not back off"
}

# EMR's step. S3 does not answer two of the three, so both are in the middle of a task when it happens: core1's wire is
# pulled, core2 gets its spot notice. core2 then gets its answers, ends what it has, and takes nothing new.
run_through_faults() {
  local step
  stall_s3_of core1
  stall_s3_of core2
  as_hadoop_on primary /opt/lakewright/current/host/run-step > "$scratch/run.log" 2>&1 < /dev/null &
  step=$!
  wait_until "core1 has a task" asks_s3 core1
  wait_until "core2 has a task" asks_s3 core2
  strangers_stay_outside
  pull core1
  touch "$scratch/notices/${address[core2]}.spot"
  drains() { says core2 lakewright-worker 'draining: no new tasks running=[1-9]'; }
  wait_until "core2 drains with a task under way" drains
  resume_s3_of core2
  wait "$step" || broken "the step failed: $(tail -n 12 "$scratch/run.log")"

  grep -q 'lost, runs again .*worker="core1"' "$scratch/run.log" || broken "nothing of core1 ran again: $(cat "$scratch/run.log")"
  ! grep -E '(lost|failed), runs again.*worker="core2"|a worker is lost.*core2' "$scratch/run.log" || broken "core2 did not do its tasks"
  is_drained core2
  as_hadoop_on primary /opt/lakewright/current/host/run-step --quiet tables --checksum --jsonlines | only_contents > "$scratch/found"
  diff "$scratch/expected" "$scratch/found" || broken "the tables are not those of one machine"
}

# is_drained HOST: its worker ended well, and its systemd says so of the machine.
is_drained() {
  drained() { [[ $(as_root_on "$1" systemctl show --property ActiveState,Result,ExecMainStatus lakewright-worker | sort | paste -sd ' ') == 'ActiveState=inactive ExecMainStatus=0 Result=success' ]]; }
  wait_until "the worker of $1 drains" drained "$1"
  [[ $(as_root_on "$1" systemctl is-active lakewright-drain.target) == active ]] || broken "$1 has not reached lakewright-drain.target"
}

# The coordinator's port: without a certificate of the authority nobody gets a word in.
strangers_stay_outside() {
  [[ $(listens_on primary) =~ ^tcp\ [^\ ]*:50051$ ]] || broken "the coordinator listens on other than its port: $(listens_on primary)"
  [[ $(call_as) == *'alert certificate required'* ]] || broken "the coordinator speaks to somebody without a certificate: $(call_as)"
  [[ $(call_as stranger) == *' alert '* ]] || broken "the coordinator speaks to somebody with a certificate of another authority: $(call_as stranger)"
  [[ $(call_as worker) != *' alert '* ]] || broken "the coordinator does not speak to a worker: $(call_as worker)"
}

# What the coordinator says to somebody with this certificate, in the second after the handshake.
call_as() {
  local identity=()
  (($# == 0)) || identity=(-cert "$scratch/tls/$1.pem" -key "$scratch/tls/$1.key")
  on_store timeout 1 openssl s_client -connect "${address[primary]}:50051" -alpn h2 -quiet -no_ign_eof -servername "$server_name" \
    -CAfile "$scratch/tls/ca.pem" -verify_return_error "${identity[@]}" < <(sleep 0.5) 2>&1 | tr -d '\0' || true
}

# As on plain EC2: lakewright-run.service, started by its timer, with a song more and a new lake.toml. core1 is back.
next_run_by_timer() {
  plug core1
  resume_s3_of core1
  sed -i 's/^min_workers = 3/min_workers = 2/' "$scratch/project/lake.toml"
  add_a_song SOADDED00000000000
  local before
  before=$(as_root_on primary stat --format %i /opt/lakewright/current/bin)
  bootstrap_ends_well primary --schedule '*-*-* *:*:*'
  [[ $(as_root_on primary stat --format %i /opt/lakewright/current/bin) == "$before" ]] || broken "the second bootstrap unpacked the release again"
  runs_unprivileged() { [[ $(as_root_on primary ps -C coordinator -o user=) == lakewright-run ]]; }
  wait_until "the timer starts a run, which is not root's" runs_unprivileged
  # core1 and plain have joined; plain is told that it may go, and the run ends without it.
  both_joined() { (($(as_root_on primary journalctl --no-pager --output cat --unit lakewright-run | grep -c 'a worker joined') >= 2)); }
  wait_until "two workers join the timer's run" both_joined
  touch "$scratch/notices/${address[plain]}.rebalance"
  has_committed() { says primary lakewright-run 'committed version 2 of the lake'; }
  wait_until "the timer's run has committed" has_committed
  as_root_on primary systemctl stop lakewright-run.timer lakewright-run.service
  says primary lakewright-run 'a worker joined.*core1' || broken "core1 did not come back"
  is_drained plain
  ! says primary lakewright-run 'a worker joined.*core2' || broken "core2 takes tasks again, after its notice"
}

# On a network of one's own: `--certificates none`, with `insecure = true` in lake.toml.
run_without_certificates() {
  sed -i 's/^\[cluster\]/[cluster]\ninsecure = true/; s/^min_workers = 2/min_workers = 1/' "$scratch/project/lake.toml"
  add_a_song SOADDED00000000001
  local jobs=() host
  for host in primary core1; do bootstrap_ends_well "$host" --certificates none & jobs+=($!); done
  all_of "${jobs[@]}"
  as_hadoop_on primary /opt/lakewright/current/host/run-step > "$scratch/run.log" 2>&1 < /dev/null || broken "the step failed: $(tail -n 12 "$scratch/run.log")"
  grep -q 'a worker joined.*core1' "$scratch/run.log" || broken "core1 did not join without certificates"
  grep -q 'committed version 3 of the lake' "$scratch/run.log" || broken "the run without certificates did not commit: $(cat "$scratch/run.log")"
  for host in primary core1; do
    ! as_root_on "$host" test -e /etc/lakewright/tls || broken "$host has kept its certificates"
  done
}

show_what_is_known() {
  local host
  for host in "${!leader[@]}"; do
    printf -- '--- %s\n' "$host" >&2
    tail -n 12 "$scratch/$host.bootstrap" >&2 || true
    as_root_on "$host" journalctl --no-pager --lines 30 --output short-monotonic --unit 'lakewright-*' >&2 || true
  done
}
