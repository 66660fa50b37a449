# shellcheck shell=bash
# What runs beneath the VIP: real dockerds, etcds and kubelets, one of each on every router. Sourced
# by lab.sh.
#
# It speaks of the node $node and of what daemon_start was asked for: units, live_restore and binary.

KUBELET=${MAINSTAY_KUBELET:-${MAINSTAY_LAB_CACHE:-/var/cache/mainstay-lab}/kubelet}

check_units() {
  local command
  case $units in
    "") return 0 ;;
    etcd) ;;
    kubelet) [[ -x $KUBELET ]] || die "there is no kubelet at $KUBELET: make one with netns-scripts/kubelet.sh" ;;
    *) bad_usage "--units knows etcd (dockerd and etcd) and kubelet (that too), not '$units'" ;;
  esac
  [[ $live_restore =~ ^(true|false)$ ]] || bad_usage "--live-restore is true or false, not '$live_restore'"
  for command in dockerd etcd etcdctl cc sha256sum; do
    command -v "$command" >/dev/null || die "$command is not installed: apt-get install docker.io etcd-server etcd-client gcc"
  done
}

# --- configuration -----------------------------------------------------------------------

# The same text on every node.
units_config() {
  local own="$RUN/{node}"
  cat <<TOML

[supervisor]
backend = "exec"
log_dir = "$own/logs"

[docker]
program = "$own/bin/dockerd"
socket = "$own/docker.sock"
data_root = "$own/docker"
exec_root = "$own/docker-run"
live_restore = $live_restore
args = [
  "--config-file=$RUN/docker.json", "--bridge=none", "--iptables=false", "--cgroup-parent=/$LAB",
  "--add-runtime=lab=$RUN/oom-runtime", "--default-runtime=lab",
]

[images]
dir = "$RUN/images"

[certs]
dir = "$own/pki"

[etcd]
image = "etcd:lab"
data_dir = "$own/etcd"
snapshot_dir = "$own/snapshots"
# For a machine that has three of them, and much else to do.
heartbeat_interval = "200ms"
election_timeout = "2s"
TOML
  [[ $units != kubelet ]] || kubelet_config
}

# Each kubelet believes to be alone on the host: what it would share with the others is named.
kubelet_config() {
  cat <<TOML

[kubernetes]
version = "v1.20.2"

[kubelet]
program = "$KUBELET"
config = "$own/kubelet.json"
root_dir = "$own/kubelet"
manifests = "$own/manifests"
cni = false
fail_on_swap = false
pause_image = "pause:lab"

[kubelet.flags]
cgroup-root = "/$LAB-{node}"
container-runtime-endpoint = "unix://$own/dockershim.sock"
experimental-dockershim-root-directory = "$own/dockershim"

[kubelet.overrides]
enforceNodeAllocatable = []
# Whatever the disk of this machine is like.
evictionHard = { "memory.available" = "1Mi" }
TOML
}

# --- what has to be there before -----------------------------------------------------------

# The programs, images and certificates of $node.
prepare_units() {
  local dir=$RUN/$node hierarchy
  [[ -f $RUN/images/pause.tar ]] || make_images
  [[ -f $RUN/docker.json ]] || make_docker_setup
  mkdir -p "$dir/bin" "$dir/manifests"
  [[ -e $dir/bin/dockerd ]] || ln -s "$(command -v dockerd)" "$dir/bin/dockerd"
  # kubelet makes the cgroups of pods, but not the one above them.
  for hierarchy in $(hierarchies); do mkdir -p "$hierarchy/$LAB-$node"; done
  [[ -f $dir/pki/etcd/server.crt ]] || make_certificates
}

# The first node makes the authorities, the others get copies, as an operator would do it.
make_certificates() { # uses the variables of prepare_units
  local first file options=()
  first=$(nodes | head -n1)
  if [[ $node == "$first" ]]; then
    options=(--new-ca)
  else
    [[ -f $RUN/$first/pki/ca.key ]] || die "start $first first: it makes the authorities"
    for file in {ca,etcd/ca,front-proxy-ca}.{crt,key} sa.{key,pub}; do
      install -D --mode=0600 "$RUN/$first/pki/$file" "$dir/pki/$file"
    done
  fi
  "$binary" certs issue "${options[@]}" --config "$dir/mainstay.toml" --node "$node" >/dev/null
}

# For machines without CAP_SYS_RESOURCE, where runc fails on a negative oomScoreAdj, a runtime that
# raises it.
make_docker_setup() {
  cat >"$RUN/oom-runtime" <<'RUNTIME'
#!/bin/sh
previous=
for argument; do
  [ "$previous" = --bundle ] && config=$argument/config.json
  previous=$argument
done
[ -f "${config:-}" ] && sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$config"
exec runc "$@"
RUNTIME
  chmod +x "$RUN/oom-runtime"
  # In place of the machine's own.
  echo '{}' >"$RUN/docker.json"
}

# Images of this machine's programs, as `docker save` writes them: no registry is needed.
make_images() {
  local work
  work=$(mktemp -d "$RUN/image.XXXXXX")
  mkdir -p "$RUN/images"
  copy_programs "$work/etcd" "$(command -v etcd)" "$(command -v etcdctl)"
  make_image etcd:lab "$work/etcd" etcd.tar ""
  mkdir -p "$work/pause"
  echo 'int pause(void); int main(void) { for (;;) pause(); }' | cc -static -x c -o "$work/pause/pause" -
  make_image pause:lab "$work/pause" pause.tar ',"Entrypoint":["/pause"]'
  rm -r "$work"
}

# copy_programs ROOT PROGRAM...: with the libraries that they need.
copy_programs() {
  local root=$1 program file
  shift
  mkdir -p "$root/tmp"
  for program; do
    # ldd fails for what is linked statically.
    { echo "$program"; ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r file; do
      install -D "$file" "$root$file"
    done
  done
}

# make_image NAME ROOT FILE MORE: of one layer, the folder ROOT; MORE is added to its configuration.
make_image() {
  local name=$1 root=$2 file=$3 more=$4 parts layer config architecture
  parts=$(mktemp -d "$RUN/image.XXXXXX")
  architecture=$(dpkg --print-architecture)
  tar --create --file="$parts/layer.tar" --directory="$root" --owner=0 --group=0 .
  read -r layer _ < <(sha256sum "$parts/layer.tar")
  printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/usr/bin:/bin"]%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$architecture" "$more" "$layer" >"$parts/config"
  read -r config _ < <(sha256sum "$parts/config")
  mv "$parts/config" "$parts/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$config" "$name" >"$parts/manifest.json"
  tar --create --file="$RUN/images/$file.new" --directory="$parts" manifest.json "$config.json" layer.tar
  mv "$RUN/images/$file.new" "$RUN/images/$file"
  rm -r "$parts"
}

# --- the end -----------------------------------------------------------------------------

# Where cgroups are: one place with version 2, one for each controller with version 1.
hierarchies() {
  if [[ -f /sys/fs/cgroup/cgroup.procs ]]; then echo /sys/fs/cgroup; else dirname /sys/fs/cgroup/*/cgroup.procs; fi
}

# unmount_below DIRECTORY: what covers others first.
unmount_below() {
  local points point
  mapfile -t points < <(awk -v own="$1/" 'index($5, own) == 1 { print $5 }' /proc/self/mountinfo | tac)
  for point in "${points[@]}"; do umount --lazy "$point" || true; done
}

# end_units NODE: by SIGKILL, as a machine that loses its power. What is on its disk stays.
end_units() {
  [[ -d $RUN/$1/docker || -d $RUN/$1/logs ]] || return 0
  # A shim may be about to start another process.
  wait_for 20 no_units_run "$1" || echo "lab.sh: the units of $1 do not end" >&2
  unmount_below "$RUN/$1/docker"
  unmount_below "$RUN/$1/docker-run"
  # The socket of a dockerd that was killed would look as if there were one.
  rm -f "$RUN/$1/docker.sock" "$RUN/$1/docker.pid"
}

no_units_run() {
  local pid found=""
  for pid in $(ip netns pids "$(namespace "$1")"); do
    is_unit "$pid" && kill -KILL "$pid" 2>/dev/null && found=yes
  done
  [[ -z $found ]]
}

# Whether a process is one that the units have started.
is_unit() {
  case $(cat "/proc/$1/comm" 2>/dev/null) in
    dockerd | containerd | containerd-shim* | oom-runtime | runc* | etcd | etcdctl | kubelet | pause) ;;
    *) return 1 ;;
  esac
}

# Of all nodes, also where the lab has no record of them. A process that was killed may not be gone yet.
remove_cgroups() {
  wait_for 5 no_cgroups || echo "lab.sh: cgroups of $LAB are left" >&2
  [[ ! -f $RUN/docker.json ]] || remove_own_cgroups
}
no_cgroups() {
  local hierarchy group left=""
  for hierarchy in $(hierarchies); do
    for group in "$hierarchy/$LAB" "$hierarchy/$LAB"-m[0-9]*; do
      [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} + || left=yes
    done
  done
  [[ -z $left ]]
}

# mainstay makes them below its own, which is the shell's: another lab may use them.
remove_own_cgroups() {
  local path hierarchy
  while read -r path; do
    for hierarchy in $(hierarchies); do
      rmdir "$hierarchy$path"/mainstay-{dockerd,kubelet} 2>/dev/null || true
    done
  done < <(cut -d: -f3- /proc/self/cgroup | sort -u)
}

# --- by hand -----------------------------------------------------------------------------

# units power-off NODE: the machine loses its power. units lose NODE: and its disk.
units() {
  case ${1:-} in
    power-off | lose) ;;
    docker) need_node "${2:-}"; node=$2; shift 2; exec docker --host "unix://$RUN/$node/docker.sock" "$@" ;;
    *) bad_usage "units knows power-off NODE, lose NODE and docker NODE ARGUMENT..., not '${1:-}'" ;;
  esac
  need_node "${2:-}"
  send KILL "$2" --both || true
  wait_for 5 ended "$2" || die "mainstay on $2 does not end"
  end_units "$2"
  # Its kernel is gone too, and with it the VIP.
  within "$2" ip address flush to "$VIP/32" 2>/dev/null || true
  [[ $1 != lose ]] || forget "$2"
}

forget() {
  local dir=$RUN/$1
  unmount_below "$dir"
  find "$dir" -mindepth 1 -delete
  mkdir -p "$dir/run" "$dir/state"
}
