#!/usr/bin/env bash
# Installs the Debian packages that the cluster of `make cluster` and `make test-kube` needs, beyond those of setup.sh.
set -euo pipefail

# command or file -> package
declare -A need=(
  [etcd]=etcd-server [containerd]=containerd [runc]=runc [/usr/lib/cni/bridge]=containernetworking-plugins
  [mmdebstrap]=mmdebstrap [buildah]=buildah [iptables]=iptables [openssl]=openssl [hostname]=hostname [openvpn]=openvpn
)
missing=()
for what in "${!need[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$what" >/dev/null 2>&1 || [ -e "$what" ] || missing+=("${need[$what]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}. Install these Debian packages (or their like) and run make again." >&2
  exit 69
fi
echo "installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The cluster runs etcd and containerd by itself, with settings of its own: Debian's services of them stay unstarted.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
