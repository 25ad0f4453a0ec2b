#!/usr/bin/env bash
# Write study.yaml, the conda environment for snakemake --sdm conda, from study.in (Python) and study.lock.
set -euo pipefail
cd "$(dirname "$0")"
{
  echo "# Written by envs/conda.sh from study.in and study.lock; do not edit."
  echo "name: coact"
  echo "channels: [conda-forge]"
  echo "dependencies:"
  echo "  - python=$(sed -n 's/^# python==//p' study.in)"
  echo "  - pip"
  echo "  - pip:"
  grep -v '^#' study.lock | sed 's/^/      - /'
} > study.yaml
