#!/usr/bin/env bash
# Resolve study.in and dev.in in fresh environments and write study.lock, dev.lock, the conda file study.yaml and the
# containers' definitions.
set -euo pipefail
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in study dev; do
  "${PYTHON:-python3}" -m venv "$scratch/$name"
  "$scratch/$name/bin/python" -m pip install --disable-pip-version-check --quiet -r "$name.in"
  {
    echo "# Written by envs/lock.sh from $name.in; do not edit."
    # A local version label, such as +cpu, names a build of one machine; the public version is what is pinned.
    "$scratch/$name/bin/python" -m pip freeze --disable-pip-version-check | sed -E 's/\+[a-z0-9.]+$//'
  } > "$name.lock"
done
bash conda.sh
bash containers.sh
