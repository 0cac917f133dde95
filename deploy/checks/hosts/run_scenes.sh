# shellcheck shell=bash
# Scenes of runs on the hosts, with failures.
# shellcheck disable=SC2329 # What wait_until asks is called by its name.

# Restart=on-failure: the run that follows begins with three workers, so the one that is killed here
# must come back by itself.
kill_a_worker() {
  killed=$(invocation plain)
  as_root_on plain systemctl kill --signal KILL lakewright-worker
}

killed_worker_is_back() {
  [[ $(invocation plain) != "$killed" && $(as_root_on plain systemctl is-active lakewright-worker) == active ]] || broken "the killed worker is not back"
  says plain lakewright-worker 'start 2 within 10 minutes: waiting 1 s' || broken "the restart did not back off"
}

# EMR's step. S3 does not answer two of the three, so both are in the middle of a task when it
# happens: core1's wire is pulled, core2 gets its spot notice. core2 then gets its answers, ends
# what it has, and takes nothing new.
run_through_faults() {
  local step
  # The run waits for three workers. plain cannot see the lake and does not join before the others have, and are stalled.
  stall_s3_of plain
  as_hadoop_on primary /opt/lakewright/current/host/run-step > "$scratch/run.log" 2>&1 < /dev/null &
  step=$!
  have_joined() { grep -q 'a worker joined.*core1' "$scratch/run.log" && grep -q 'a worker joined.*core2' "$scratch/run.log"; }
  wait_until "core1 and core2 join" have_joined
  stall_s3_of core1
  stall_s3_of core2
  resume_s3_of plain
  wait_until "core1 has a task" waits_for_s3 core1
  wait_until "core2 has a task" waits_for_s3 core2
  pull core1
  touch "$scratch/notices/${address[core2]}.spot"
  # Meanwhile, the watcher polls every five seconds.
  strangers_stay_outside
  drains() { says core2 lakewright-worker 'draining: no new tasks running=[1-9]'; }
  wait_until "core2 drains with a task under way" drains
  resume_s3_of core2
  wait "$step" || broken "the step failed: $(tail -n 12 "$scratch/run.log")"

  grep -q 'lost with its worker, retrying .*worker="core1"' "$scratch/run.log" || broken "nothing of core1 ran again: $(cat "$scratch/run.log")"
  ! grep -E '(lost with its worker|failed), retrying.*="core2"|a worker is lost.*core2' "$scratch/run.log" || broken "core2 did not do its tasks"
  is_drained core2
  as_hadoop_on primary /opt/lakewright/current/host/run-step --quiet tables --checksum --jsonlines | only_contents > "$scratch/found"
  diff "$scratch/expected" "$scratch/found" || broken "the tables are not those of one machine"
}

# is_drained HOST: checks that its worker exited successfully and that systemd reports the machine
# as drained.
is_drained() {
  drained() { [[ $(as_root_on "$1" systemctl show --property ActiveState,Result,ExecMainStatus lakewright-worker | sort | paste -sd ' ') == 'ActiveState=inactive ExecMainStatus=0 Result=success' ]]; }
  wait_until "the worker of $1 drains" drained "$1"
  [[ $(as_root_on "$1" systemctl is-active lakewright-drain.target) == active ]] || broken "$1 has not reached lakewright-drain.target"
}

# The coordinator's port: it accepts no data from a client without a certificate of the authority.
strangers_stay_outside() {
  [[ $(listens_on primary) =~ ^tcp\ [^\ ]*:50051$ ]] || broken "the coordinator listens on other than its port: $(listens_on primary)"
  [[ $(call_as) == *'alert certificate required'* ]] || broken "the coordinator speaks to somebody without a certificate: $(call_as)"
  [[ $(call_as stranger) == *' alert '* ]] || broken "the coordinator speaks to somebody with a certificate of another authority: $(call_as stranger)"
  [[ $(call_as worker) != *' alert '* ]] || broken "the coordinator does not speak to a worker: $(call_as worker)"
}

# Prints the coordinator's answer to a client with this certificate, in the second after the
# handshake.
call_as() {
  local identity=()
  (($# == 0)) || identity=(-cert "$scratch/tls/$1.pem" -key "$scratch/tls/$1.key")
  on_store timeout 1 openssl s_client -connect "${address[primary]}:50051" -alpn h2 -quiet -no_ign_eof -servername "$server_name" \
    -CAfile "$scratch/tls/ca.pem" -verify_return_error "${identity[@]}" < <(sleep 0.5) 2>&1 | tr -d '\0' || true
}

# As on plain EC2: lakewright-run.service, started by its timer, with a song more and a new
# lake.toml. core1 is back.
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
  # core1 and plain have joined; plain is told that it may go. That it does is seen later, for the
  # watcher asks every five seconds.
  both_joined() { (($(as_root_on primary journalctl --no-pager --output cat --unit lakewright-run | grep -c 'a worker joined') >= 2)); }
  wait_until "two workers join the timer's run" both_joined
  touch "$scratch/notices/${address[plain]}.rebalance"
  has_committed() { says primary lakewright-run 'committed version 2 of the lake'; }
  wait_until "the timer's run has committed" has_committed
  as_root_on primary systemctl stop lakewright-run.timer lakewright-run.service
  says primary lakewright-run 'a worker joined.*core1' || broken "core1 did not come back"
  ! says primary lakewright-run 'a worker joined.*core2' || broken "core2 takes tasks again, after its notice"
}

# On a private network: `--certificates none`, with `insecure = true` in lake.toml.
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
