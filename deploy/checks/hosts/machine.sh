# shellcheck shell=bash
# A host of the check: systemd, booted by systemd-nspawn with this machine's /usr in a namespace of its own, and with the user
# and the files of an EMR instance.

readonly hadoop_id=992
# Process of systemd-nspawn and first process inside, by host.
declare -A keeper=() leader=()

root_of() { echo "$scratch/hosts/$1"; }

# make_host NAME: creates its root folder. /usr is that of this machine; /etc contains little more
# than on a new machine.
make_host() {
  local host=$1 root name
  root=$(root_of "$host")
  mkdir -p "$root"/{usr,etc/sudoers.d,var,run,tmp,proc,sys,dev,mnt,opt,srv/tools,root,home/hadoop}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  for name in pam.d security ld.so.cache nsswitch.conf login.defs ssl alternatives dbus-1; do
    cp -a "/etc/$name" "$root/etc/" 2> /dev/null || true
  done
  cp -L /etc/os-release "$root/etc/os-release"
  # With an id this is not a first boot, which would enable every unit of this machine's packages.
  tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
  printf '%s\n' root:x:0:0::/root:/bin/bash "hadoop:x:$hadoop_id:$hadoop_id::/home/hadoop:/bin/bash" \
    messagebus:x:100:107::/nonexistent:/usr/sbin/nologin nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin > "$root/etc/passwd"
  printf '%s\n' root:x:0: "hadoop:x:$hadoop_id:" messagebus:x:107: nogroup:x:65534: > "$root/etc/group"
  printf '%s\n' 'root:*:19000::::::' 'hadoop:*:19000::::::' 'nobody:*:19000::::::' > "$root/etc/shadow"
  printf '%s\n' 'root ALL=(ALL:ALL) ALL' 'hadoop ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers"
  chmod 440 "$root/etc/sudoers"
  chmod 1777 "$root/tmp"
  chmod 755 "$root/root"
  chown "$hadoop_id:$hadoop_id" "$root/home/hadoop"
  # Names that the DNS of a VPC would resolve.
  printf '%s\n' '127.0.0.1 localhost' "${address[$host]} $host" "${address[primary]} ip-10-77-0-2.ec2.internal" > "$root/etc/hosts"
  # Programs that the images of EMR and EC2 have in /usr/bin.
  printf '#!/bin/sh\nexec %s/bin/python %s/bin/aws "$@"\n' "$LAKEWRIGHT_VENV" "$LAKEWRIGHT_VENV" > "$root/srv/tools/aws"
  printf '#!/bin/sh\nexec %s/bin/python "$@"\n' "$LAKEWRIGHT_VENV" > "$root/srv/tools/python3"
  chmod 755 "$root/srv/tools/"*
  cp "$deploy/emr/bootstrap.sh" "$root/srv/bootstrap.sh"
}

# like_emr HOST true|false: writes the files from which an EMR instance learns its role.
like_emr() {
  local root
  root=$(root_of "$1")
  mkdir -p "$root/mnt/var/lib/info" "$root/emr/instance-controller/lib/info"
  printf '{"isMaster": %s, "instanceGroupId": "ig-1", "isRunningNameNode": false}\n' "$2" > "$root/mnt/var/lib/info/instance.json"
  printf '{"masterHost": "ip-10-77-0-2.ec2.internal"}\n' > "$root/emr/instance-controller/lib/info/extraInstanceData.json"
}

# boot HOST [OPTION of systemd-nspawn…]: boots it with control groups of version 2 and with
# permission to load programs for them, which systemd needs to enforce IPAddressDeny.
boot() {
  local host=$1 base
  shift
  base=$("$LAKEWRIGHT_VENV/bin/python" -c 'import sys; print(sys.base_prefix)')
  [[ $base == /usr* ]] || set -- "$@" "--bind-ro=$base"
  in_own_group "$(namespace "$host")" env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --capability=CAP_BPF,CAP_NET_ADMIN --system-call-filter=bpf --quiet --directory "$(root_of "$host")" --bind-ro=/usr --bind-ro="$LAKEWRIGHT_VENV" "$@" \
    --network-namespace-path="/run/netns/$(namespace "$host")" --hostname "$host" \
    --register=no --keep-unit --boot --console=pipe < /dev/null > "$scratch/$host.console" 2>&1 &
  keeper[$host]=$!
}

# Hierarchies that contain the units of systemd: one, or two on a machine that also has control
# groups of version 1.
hierarchies() {
  local hierarchy
  for hierarchy in /sys/fs/cgroup{,/unified,/systemd}; do
    [[ ! -e $hierarchy/cgroup.procs ]] || echo "$hierarchy"
  done
}

# in_own_group NAME COMMAND…: without this, the units of all hosts would share control groups.
in_own_group() {
  local hierarchy name=$1
  shift
  for hierarchy in $(hierarchies); do
    mkdir "$hierarchy/$name"
    echo "$BASHPID" > "$hierarchy/$name/cgroup.procs"
  done
  exec "$@"
}

# Waits for the first process of the host, then for its systemd.
booted() {
  local host=$1 pid='' _
  for _ in {1..200}; do
    pid=$(pgrep --parent "${keeper[$host]}" --exact systemd) && break
    kill -0 "${keeper[$host]}" || broken "$host does not boot: $(tail -n 3 "$scratch/$host.console")"
    sleep 0.05
  done
  leader[$host]=$pid
  for _ in {1..200}; do
    case $(as_root_on "$host" systemctl is-system-running 2> /dev/null) in
      running | degraded) return 0 ;;
    esac
    sleep 0.1
  done
  broken "$host does not finish booting"
}

boot_hosts() {
  local host
  mkdir -p "$scratch/hosts"
  for host in "${hosts[@]}"; do make_host "$host"; done
  like_emr primary true
  like_emr core1 false
  like_emr core2 false
  # In memory. On core2 it is too small for a release at first.
  boot primary --tmpfs=/opt
  boot core1 --tmpfs=/opt
  boot core2 --tmpfs=/opt:size=20M
  boot plain --tmpfs=/opt
}

wait_for_hosts() {
  local host
  for host in "${hosts[@]}"; do booted "$host"; done
}

enter() {
  local host=$1
  shift
  nsenter --target "${leader[$host]}" --mount --uts --ipc --net --pid --cgroup --root --wd -- \
    env -i PATH=/srv/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin LANG=C.UTF-8 "$@"
}

as_root_on() {
  local host=$1
  shift
  enter "$host" HOME=/root "$@"
}

as_hadoop_on() {
  local host=$1
  shift
  enter "$host" HOME=/home/hadoop setpriv --reuid "$hadoop_id" --regid "$hadoop_id" --clear-groups "$@"
}

# says HOST UNIT PATTERN: checks that its journal has such a line.
says() { grep -qE "$3" <<< "$(as_root_on "$1" journalctl --no-pager --output cat --unit "$2")"; }

# Id of the current start of the worker; each start has another one.
invocation() { as_root_on "$1" systemctl show --property InvocationID --value lakewright-worker; }

show_what_is_known() {
  local host
  for host in "${!leader[@]}"; do
    printf -- '--- %s\n' "$host" >&2
    tail -n 12 "$scratch/$host.bootstrap" >&2 || true
    as_root_on "$host" journalctl --no-pager --lines 30 --output short-monotonic --unit 'lakewright-*' >&2 || true
  done
}

halt_hosts() {
  local host hierarchy
  for host in "${!keeper[@]}"; do
    # When the first process of a namespace ends, all others end with it.
    [[ -z ${leader[$host]:-} ]] || kill -KILL "${leader[$host]}" 2> /dev/null || true
    wait "${keeper[$host]}" 2> /dev/null || true
    for hierarchy in $(hierarchies); do
      find "$hierarchy/$(namespace "$host")" -depth -type d -exec rmdir '{}' ';' || true
    done
  done
}
