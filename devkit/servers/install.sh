#!/bin/bash
# install.sh: the Debian packages that the tests of stores, sources and alerts need. Does nothing when they
# are there. nginx and Prometheus are run by the tests themselves, each with a folder of its own; no
# service starts.
set -euo pipefail
# shellcheck source=../apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

find_missing nginx openssl prometheus
install_without_services
