#!/usr/bin/env bash
# Installs the real services that some tests run against, through the system's package manager.
#   chromium   walks the portal as a pupil would (tests marked `browser`)
#   cc         compiles what watches a node's files (tests marked `compiler`)
#   bsdiff, git, rsync, xdelta3, zstd   peers of the benchmarks (tests/bench); none is required
#   java, mvn  fetch and run Apache Kafka, which goes to .services/ (tests marked `kafka`)
# Safe to run again; installs only what is missing.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null || missing+=(gcc libc6-dev)
for tool in bsdiff git rsync xdelta3 zstd; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
fc-list 2>/dev/null | grep -qi emoji || missing+=(fonts-noto-color-emoji)
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)

kafka() { bash "$(dirname "$0")/../kafka/install.sh"; }

[ "${#missing[@]}" -eq 0 ] && { kafka; echo "services: all present"; exit 0; }

if ! command -v apt-get >/dev/null; then
  echo "error: no apt-get here; install ${missing[*]} with your system's package manager" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
echo "services: installed ${missing[*]}"
kafka
