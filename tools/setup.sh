#!/usr/bin/env bash
# Installs the Debian packages that building and testing need; says plainly what is missing where it cannot.
set -euo pipefail

if ! command -v node >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "Node.js 20 or later is needed, with npm: https://nodejs.org or Debian's nodejs and npm" >&2
  exit 69
fi

# command or file -> package
declare -A need=(
  [clang]=clang [tcpdump]=tcpdump [tshark]=tshark [nft]=nftables [ip]=iproute2 [iperf3]=iperf3 [curl]=curl
  [nsenter]=util-linux [/usr/include/bpf/bpf_helpers.h]=libbpf-dev [python3]=python3 [c++]=g++
  [ping]=iputils-ping [traceroute]=traceroute [ethtool]=ethtool
  [/usr/lib/cni/bridge]=containernetworking-plugins [bpftool]=bpftool [conntrack]=conntrack
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
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
