#!/usr/bin/env bash
# The first process of a machine of the cluster: makes what the machine sees of its own, then waits and reaps.
# With it end all processes of the machine and all its mounts. machine.ts starts it:
#   machine.sh DIRECTORY NAME [node]
set -euo pipefail
directory=$1 name=$2 kind=${3:-}

read -r pid _ </proc/self/stat # as the host counts: /proc is still the host's
hostname "$name"

if [ "$kind" = node ]; then
  # What a node writes below these lies in its own directory; overlays, so that no directory has to be made on the host.
  for place in /etc /opt /var/lib /var/log; do
    mkdir -p "$directory/upper$place" "$directory/work$place"
    mount -t overlay -o "lowerdir=$place,upperdir=$directory/upper$place,workdir=$directory/work$place" overlay "$place"
  done
  # An overlay cannot carry overlays of containers, so these are directories of the file system below.
  for place in /run /var/lib/containerd /var/lib/kubelet; do
    mkdir -p "$directory/own$place" "$place"
    mount --bind "$directory/own$place" "$place"
  done
  # sysfs shows the interfaces of the namespace that it was mounted in; cgroups are the host's, the bpffs is the node's own.
  mkdir -p "$directory/cgroup"
  mount --rbind /sys/fs/cgroup "$directory/cgroup"
  mount -t sysfs sysfs /sys
  mount --rbind "$directory/cgroup" /sys/fs/cgroup
  umount --lazy "$directory/cgroup"
  mount -t bpf bpf /sys/fs/bpf
fi
mount -t proc proc /proc
# Kubernetes hands mounts of a pod on to the node (mountPropagation), which needs them shared: within the machine, not with the host.
mount --make-rshared /

echo "$pid" >"$directory/pid.new"
mv "$directory/pid.new" "$directory/pid"
trap 'exit 0' TERM
while :; do
  sleep infinity &
  wait $! || true
done
