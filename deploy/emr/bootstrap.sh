#!/usr/bin/env bash
# Sets up a machine as a worker or the coordinator of Lakewright. It is an EMR bootstrap action
# (user hadoop, passwordless sudo), and the user data of plain EC2 runs it as root. It may run again
# at any time and does not touch what is already set up. It exits with 0, or with another status and
# one last line with the reason; EMR then replaces the instance.
#
#   --release s3://BUCKET/KEY/lakewright-<version>-<arch>-linux.tar.gz --sha256 HEX
#   --certificates ssm:/PREFIX | s3://BUCKET/PREFIX/ | none
#   --project s3://BUCKET/PREFIX/         for the coordinator: lake.toml, models/, checks/
#   [--role worker|coordinator]           default: from EMR's instance.json
#   [--coordinator HOST:PORT]             default: EMR's primary, port 50051
#   [--tls-name NAME]                     name in the coordinator's certificate; default: coordinator.lakewright.internal
#   [--memory SIZE]                       memory that the process tries to stay below, such as 8GB
#   [--schedule CALENDAR]                 timer of the coordinator in the format of systemd, such as hourly or *-*-* 02:00
#
# LAKEWRIGHT_BOOTSTRAP_LIMIT is the time limit in seconds; default: 300.
set -euo pipefail

readonly home=/opt/lakewright settings=/etc/lakewright units=/etc/systemd/system
readonly emr_instance=/mnt/var/lib/info/instance.json
readonly emr_cluster=/emr/instance-controller/lib/info/extraInstanceData.json
readonly limit_seconds=${LAKEWRIGHT_BOOTSTRAP_LIMIT:-300}

main() {
  if [[ " $* " =~ \ (-h|--help)\  ]]; then
    tell_usage
    return
  fi
  step "reading the arguments"
  read_arguments "$@"
  find_role
  step "asking the metadata service"
  find_region
  step "installing the release"
  install_release
  install_certificates
  if [[ $role == coordinator ]]; then
    install_project
    write_coordinator_settings
  else
    name_the_coordinator
    write_worker_settings
  fi
  step "installing the units"
  install_units
  step "waiting for health"
  if [[ $role == coordinator ]]; then start_coordinator; else start_worker; fi
  printf 'bootstrap: done: %s %s in %s s\n' "$role" "$version" "$SECONDS"
}

step() {
  current_step=$1
  printf 'bootstrap: %s\n' "$1"
}

# Prints the comment at the top of this file.
tell_usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# Prints the one last line and exits.
fail() {
  failed=yes
  printf 'bootstrap: error: %s\n' "$*" | tr '\n' ' ' | sed 's/ *$/\n/' >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# --- arguments ---

read_arguments() {
  release='' sha256='' certificates='' project='' role='' coordinator='' memory='' schedule=''
  tls_name=coordinator.lakewright.internal
  while (($# > 0)); do
    case $1 in
      --release | --sha256 | --certificates | --project | --role | --coordinator | --tls-name | --memory | --schedule)
        (($# > 1)) || fail "\`$1\` has no value"
        local variable=${1#--}
        printf -v "${variable//-/_}" '%s' "$2"
        shift 2
        ;;
      *) fail "unknown argument \`$1\`" ;;
    esac
  done
  local file=${release##*/}
  [[ $release == s3://*/* && $file =~ ^lakewright-([0-9][0-9A-Za-z.+-]*)-(x86_64|aarch64)-linux\.tar\.gz$ ]] ||
    fail "\`--release\` is not s3://BUCKET/KEY/lakewright-<version>-<arch>-linux.tar.gz: \`$release\`"
  version=${BASH_REMATCH[1]}
  [[ ${BASH_REMATCH[2]} == "$(uname -m)" ]] || fail "the release is for ${BASH_REMATCH[2]}, this machine is $(uname -m)"
  sha256=${sha256,,}
  [[ $sha256 =~ ^[0-9a-f]{64}$ ]] || fail "\`--sha256\` is not 64 hexadecimal digits: \`$sha256\`"
  [[ $certificates =~ ^(ssm:/.+|s3://.+|none)$ ]] || fail "\`--certificates\` is not ssm:/PREFIX, s3://BUCKET/PREFIX/ or none: \`$certificates\`"
  [[ -z $memory || $memory =~ ^[0-9.]+[A-Za-z]*$ ]] || fail "\`--memory\` is not a size: \`$memory\`"
  [[ $tls_name =~ ^[A-Za-z0-9.-]+$ ]] || fail "\`--tls-name\` is not a name: \`$tls_name\`"
}

# Prints a value of a JSON file that EMR wrote.
from_json() {
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}

find_role() {
  on_emr=no
  [[ ! -e $emr_instance ]] || on_emr=yes
  if [[ -z $role ]]; then
    [[ $on_emr == yes ]] || fail "there is no \`$emr_instance\`: say \`--role worker\` or \`--role coordinator\`"
    case $(from_json "$emr_instance" isMaster) in
      True) role=coordinator ;;
      False) role=worker ;;
      *) fail "\`$emr_instance\` does not say whether this is the primary" ;;
    esac
  fi
  [[ $role == worker || $role == coordinator ]] || fail "\`--role\` is worker or coordinator, not \`$role\`"
  if [[ $role == worker && -z $coordinator ]]; then
    [[ -e $emr_cluster ]] || fail "there is no \`$emr_cluster\`: say \`--coordinator HOST:PORT\`"
    coordinator=$(from_json "$emr_cluster" masterHost):50051
  fi
  [[ $role == coordinator || $coordinator =~ ^[^:/]+:[0-9]+$ ]] || fail "\`--coordinator\` is not HOST:PORT: \`$coordinator\`"
  [[ $role == worker || $project == s3://* ]] || fail "\`--project\` is not s3://BUCKET/PREFIX/: \`$project\`"
  if [[ $role == coordinator && -n $schedule ]]; then
    systemd-analyze calendar "$schedule" > /dev/null 2>&1 || fail "\`--schedule\` is not a calendar of systemd: \`$schedule\`"
  fi
}

# Gets the region from the environment, or else from the metadata service. A machine without that
# service has no role and no keys either, so the script fails at once.
find_region() {
  AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
  if [[ -z $AWS_REGION ]]; then
    local metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254} token
    if ! token=$(ask_metadata --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") ||
      ! AWS_REGION=$(ask_metadata --header "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/placement/region"); then
      fail "no network, or not on EC2: \`$metadata\` does not answer, and AWS_REGION is not set"
    fi
  fi
  export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION
}

ask_metadata() {
  curl --silent --fail --connect-timeout 2 --max-time 10 --retry 2 --retry-connrefused "$@"
}

# --- downloads from S3 and the parameter store ---

# With a time limit, so that a machine without a network fails within a minute.
aws_bounded() {
  local said
  if ! said=$(AWS_MAX_ATTEMPTS=2 AWS_METADATA_SERVICE_TIMEOUT=2 AWS_METADATA_SERVICE_NUM_ATTEMPTS=2 \
    aws --cli-connect-timeout 5 --cli-read-timeout 30 "$@" 2>&1 > "$scratch/answer"); then
    fail "$current_step: \`aws ${*:1:2}\` failed: $(tail -n 1 <<< "$said")"
  fi
}

download_release() {
  aws_bounded s3 cp --only-show-errors --no-progress "$release" "$scratch/release.tar.gz"
  local found
  found=$(sha256sum < "$scratch/release.tar.gz" | cut -d ' ' -f 1)
  [[ $found == "$sha256" ]] || fail "the checksum of \`$release\` is $found, not $sha256"
}

# The same version with another checksum is another release, which replaces the installed one.
install_release() {
  local place=$home/$version
  if [[ $(cat "$place/.sha256" 2> /dev/null) != "$sha256" ]]; then
    download_release
    unpack_release "$place"
    changed=yes
  fi
  if [[ $(readlink "$home/current") != "$version" ]]; then
    as_root ln -sfn "$version" "$home/current.new"
    as_root mv -T "$home/current.new" "$home/current"
    changed=yes
  fi
}

unpack_release() {
  local place=$1 needed_kb free_kb
  as_root mkdir -p "$home"
  # The last four bytes of a gzip file are its uncompressed length.
  needed_kb=$(($(tail -c 4 "$scratch/release.tar.gz" | od --address-radix n --format u4 --endian little) / 1024 + 1024))
  free_kb=$(df --output=avail -k "$home" | tail -n 1)
  ((needed_kb < free_kb)) || fail "no space on the disk of \`$home\`: the release needs $((needed_kb / 1024)) MB, $((free_kb / 1024)) MB are free"
  as_root rm -rf "$place.new"
  as_root mkdir "$place.new"
  as_root tar --extract --gzip --no-same-owner --strip-components 1 --directory "$place.new" --file "$scratch/release.tar.gz" ||
    fail "cannot unpack \`$release\` into \`$home\`"
  # Written last. A folder without it is incomplete.
  as_root tee "$place.new/.sha256" <<< "$sha256" > /dev/null
  as_root rm -rf "$place"
  as_root mv -T "$place.new" "$place"
}

install_certificates() {
  [[ $certificates != none ]] || { as_root rm -rf "$settings/tls"; return 0; }
  step "installing the certificates"
  local got=$scratch/tls
  mkdir "$got"
  case $certificates in
    s3://*)
      aws_bounded s3 cp --only-show-errors --recursive --exclude '*' --include ca.pem --include "$role.pem" --include "$role.key" \
        "${certificates%/}/" "$got"
      ;;
    ssm:*) certificates_from_ssm "${certificates#ssm:}" "$got" ;;
  esac
  local name
  for name in ca.pem "$role.pem" "$role.key"; do
    [[ -s $got/$name ]] || fail "there is no \`$name\` at \`$certificates\`"
  done
  put "$got/ca.pem" "$settings/tls/ca.pem" 0444
  put "$got/$role.pem" "$settings/tls/$role.pem" 0444
  # systemd passes it to the unit as a credential. Only EMR's step, which is not a unit, reads the
  # file itself.
  if [[ $role == coordinator && $on_emr == yes ]]; then
    put "$got/$role.key" "$settings/tls/$role.key" 0440 "$(id -gn)"
  else
    put "$got/$role.key" "$settings/tls/$role.key" 0400
  fi
}

certificates_from_ssm() {
  local prefix=${1%/} into=$2
  aws_bounded ssm get-parameters --with-decryption --output json --names "$prefix/ca" "$prefix/$role.cert" "$prefix/$role.key"
  python3 - "$scratch/answer" "$into" << 'PYTHON'
import json, pathlib, sys
files = {"ca": "ca.pem", "cert": ".pem", "key": ".key"}
for parameter in json.load(open(sys.argv[1]))["Parameters"]:
    role, _, kind = parameter["Name"].rsplit("/", 1)[1].rpartition(".")
    (pathlib.Path(sys.argv[2]) / (role + files[kind])).write_text(parameter["Value"].strip() + "\n")
PYTHON
}

install_project() {
  step "installing the project"
  local got=$scratch/project
  mkdir "$got"
  aws_bounded s3 cp --only-show-errors --recursive "${project%/}/" "$got"
  [[ -s $got/lake.toml ]] || fail "there is no \`lake.toml\` at \`$project\`"
  if ! diff -rq "$got" "$settings/project" > /dev/null 2>&1; then
    as_root mkdir -p "$settings"
    as_root rm -rf "$settings/project"
    as_root cp -r --no-preserve=mode,ownership "$got" "$settings/project"
    # Any user who runs the coordinator reads it, so it must not contain secrets.
    as_root chmod -R u=rwX,go=rX "$settings/project"
    changed=yes
  fi
}

# --- settings and units ---

# put FILE PLACE MODE [GROUP]: installs a file, and sets `changed` if it was a different one.
put() {
  local file=$1 place=$2 mode=$3 group=${4:-root}
  if ! as_root cmp --silent "$file" "$place"; then
    as_root install -D --mode "$mode" --owner root --group "$group" "$file" "$place"
    changed=yes
  fi
}

common_settings() {
  echo "AWS_REGION=$AWS_REGION"
  # An endpoint other than that of AWS, such as one in a VPC of your own.
  [[ -z ${AWS_ENDPOINT_URL_S3:-} ]] || echo "AWS_ENDPOINT_URL_S3=$AWS_ENDPOINT_URL_S3"
}

write_worker_settings() {
  {
    echo "LAKEWRIGHT_COORDINATOR=$tls_name:${coordinator##*:}"
    [[ -z $memory ]] || echo "LAKEWRIGHT_WORKER_OPTIONS=--memory $memory"
    # EMR's root volume is small; its data volume is at /mnt.
    if [[ $on_emr == yes ]]; then
      as_root install -d --mode 1777 /mnt/lakewright
      echo "LAKEWRIGHT_SCRATCH=/mnt/lakewright"
    fi
    common_settings
  } > "$scratch/worker.env"
  put "$scratch/worker.env" "$settings/worker.env" 0444
}

write_coordinator_settings() {
  {
    [[ -z $memory ]] || echo "LAKEWRIGHT__LIMITS__MEMORY=$memory"
    common_settings
  } > "$scratch/coordinator.env"
  put "$scratch/coordinator.env" "$settings/coordinator.env" 0444
}

# The certificate names the coordinator, so workers must call it by that name.
name_the_coordinator() {
  local host=${coordinator%:*} address
  [[ $host != "$tls_name" ]] || return 0
  address=$(getent ahostsv4 "$host" | awk 'NR == 1 { print $1 }')
  [[ -n $address ]] || fail "cannot find the address of the coordinator \`$host\`"
  grep -v '# lakewright$' /etc/hosts > "$scratch/hosts" 2> /dev/null || true
  if ! grep -qE "[[:space:]]${tls_name//./\\.}([[:space:]]|$)" "$scratch/hosts"; then
    echo "$address $tls_name # lakewright" >> "$scratch/hosts"
  fi
  put "$scratch/hosts" /etc/hosts 0644
}

install_units() {
  local unit
  for unit in "$home/current/systemd"/lakewright-*; do
    put "$unit" "$units/${unit##*/}" 0644
  done
  without_tls lakewright-worker.service
  without_tls lakewright-run.service
  if [[ -n $schedule ]]; then
    printf '[Timer]\nOnCalendar=\nOnCalendar=%s\n' "$schedule" > "$scratch/schedule.conf"
    put "$scratch/schedule.conf" "$units/lakewright-run.timer.d/schedule.conf" 0644
  fi
  as_root systemctl daemon-reload
}

# With `--certificates none`, a drop-in removes the credentials from the unit.
without_tls() {
  local drop_in=$units/$1.d/without-tls.conf
  if [[ $certificates == none ]]; then
    put "$home/current/systemd/without-tls/$1.conf" "$drop_in" 0644
  elif [[ -e $drop_in ]]; then
    as_root rm -f "$drop_in"
    changed=yes
  fi
}

# --- health ---

# Type=notify: systemctl returns when the worker is set up or has failed.
start_worker() {
  local service=lakewright-worker.service
  as_root systemctl enable --quiet "$service" lakewright-spot.service lakewright-drain.path
  [[ $changed == no ]] || as_root systemctl stop "$service"
  as_root systemctl reset-failed "$service" 2> /dev/null || true
  as_root systemctl start lakewright-spot.service lakewright-drain.path
  if ! as_root timeout 60 systemctl start "$service"; then
    as_root journalctl --unit "$service" --lines 10 --no-pager --output cat >&2 || true
    fail "\`$service\` did not become ready: $(as_root systemctl show --property Result --value "$service")"
  fi
}

# The coordinator listens only during a run. This checks that it can read its project and its lake,
# but not as root.
start_coordinator() {
  local said unprivileged=()
  [[ $(id -u) != 0 ]] || unprivileged=(runuser --user nobody --)
  if ! said=$(timeout 60 "${unprivileged[@]}" "$home/current/host/run-step" --quiet tables 2>&1 > /dev/null); then
    # Normal before the first run. The lake was read to find out.
    [[ $said == *"there is nothing in the lake"* ]] || fail "the coordinator cannot read its project and lake: $(head -n 1 <<< "$said")"
  fi
  if [[ -n $schedule ]]; then
    as_root systemctl enable --quiet lakewright-run.timer
    as_root systemctl restart lakewright-run.timer
  fi
}

# --- the two processes ---

on_exit() {
  local status=$?
  rm -rf "$scratch"
  if ((status != 0)) && [[ $failed == no ]]; then
    printf 'bootstrap: error: %s failed with status %s\n' "$current_step" "$status" >&2
  fi
}

# A child does the work, so that this process can print the last line even if the child is killed.
if [[ -n ${LAKEWRIGHT_BOOTSTRAP_CHILD:-} ]]; then
  failed=no changed=no current_step=starting
  scratch=$(mktemp -d)
  trap on_exit EXIT
  # `timeout` ends the command in hand as well. Its failure is not the cause, and is not reported.
  trap 'failed=yes; rm -rf "$scratch"; exit 143' TERM
  main "$@"
else
  status=0
  LAKEWRIGHT_BOOTSTRAP_CHILD=yes timeout --kill-after 5 "$limit_seconds" bash "${BASH_SOURCE[0]}" "$@" || status=$?
  if ((status >= 124)); then
    printf 'bootstrap: error: not done after %s s\n' "$limit_seconds" >&2
    status=1
  fi
  exit "$status"
fi
