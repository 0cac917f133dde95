# shellcheck shell=bash
# What happens on the hosts, scene by scene.

boot_hosts() {
  local host
  mkdir -p "$scratch/hosts"
  for host in "${hosts[@]}"; do make_host "$host"; done
  like_emr primary true
  like_emr core1 false
  like_emr core2 false
  # The release does not fit on the first try's disk.
  for host in "${hosts[@]}"; do boot "$host"; done
}

wait_for_hosts() {
  local host
  for host in "${hosts[@]}"; do booted "$host"; done
}

# bootstrap_on HOST [ARGUMENT…]: as the host's kind is brought up; what stands behind replaces or adds. Output to a file.
bootstrap_on() {
  local host=$1 as=as_hadoop_on tarball
  shift
  tarball=$(basename "$release"/lakewright-*-linux.tar.gz)
  local arguments=(--release "s3://lakewright/release/$tarball" --sha256 "$(awk -v name="$tarball" '$2 == name { print $1 }' "$release/SHA256SUMS")")
  case $host in
    primary) arguments+=(--certificates s3://lakewright/tls/ --project s3://lakewright/project/) ;;
    core*) arguments+=(--certificates s3://lakewright/tls/ --memory 1GB) ;;
    # An instance of plain EC2: as root, with a role that it is told, the certificates from the parameter store.
    plain)
      as=as_root_on
      arguments+=(--role worker --coordinator "${address[primary]}:50051" --certificates ssm:/lakewright)
      ;;
  esac
  "$as" "$host" env AWS_ENDPOINT_URL_S3="http://$store_address:${s3_port[$host]}" AWS_ENDPOINT_URL_SSM="http://$store_address:$parameters_port" \
    bash /srv/bootstrap.sh "${arguments[@]}" "$@" > "$scratch/$host.bootstrap" 2>&1 < /dev/null
}

# bootstrap_fails HOST PATTERN [ARGUMENT…]: it ends with a status other than 0 within a minute, and its last line alone says why.
bootstrap_fails() {
  local host=$1 pattern=$2 status=0 from=$SECONDS last
  shift 2
  bootstrap_on "$host" "$@" || status=$?
  last=$(tail -n 1 "$scratch/$host.bootstrap")
  ((status != 0)) || broken "bootstrap ended with 0 on $host, where it is to say: $pattern"
  [[ $last =~ ^bootstrap:\ error:\ .*$pattern ]] || broken "the last line of bootstrap on $host is not about $pattern: $last"
  [[ $(grep -c '^bootstrap: error:' "$scratch/$host.bootstrap") == 1 ]] || broken "bootstrap has more than one error: $(cat "$scratch/$host.bootstrap")"
  ((SECONDS - from < 60)) || broken "bootstrap took $((SECONDS - from)) s to fail"
}

bootstrap_says_what_is_wrong() {
  bootstrap_fails core1 'unknown argument `--colour`' --colour red
}

bootstrap_all_hosts() {
  local host from=$SECONDS jobs=()
  for host in "${hosts[@]}"; do
    bootstrap_on "$host" & jobs+=($!)
  done
  for host in "${hosts[@]}"; do
    wait "${jobs[0]}" || broken "bootstrap failed on $host: $(tail -n 12 "$scratch/$host.bootstrap")"
    jobs=("${jobs[@]:1}")
  done
}

bootstrap_again() { :; }
run_through_faults() {
  as_hadoop_on primary /opt/lakewright/current/host/run-step
}
next_run_by_timer() { :; }

show_what_is_known() {
  local host
  for host in "${!leader[@]}"; do
    printf -- '--- %s\n' "$host" >&2
    tail -n 12 "$scratch/$host.bootstrap" >&2 || true
    as_root_on "$host" journalctl --no-pager --lines 30 --output short-monotonic --unit "lakewright-*" >&2 || true
  done
}
