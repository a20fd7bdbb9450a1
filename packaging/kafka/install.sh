#!/usr/bin/env bash
# Puts Apache Kafka itself into .services/kafka/libs: the jars that pom.xml names, from Maven
# Central. Run by packaging/services/install.sh; safe to run again.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
home="$here/../../.services/kafka"

if [ -e "$home/installed" ] && cmp -s "$here/pom.xml" "$home/installed"; then
  exit 0
fi
rm -rf "$home"
mvn --batch-mode --quiet --file "$here/pom.xml" dependency:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$(realpath -m "$home")/libs"
cp "$here/pom.xml" "$home/installed"
echo "services: installed Apache Kafka"
