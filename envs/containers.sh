#!/usr/bin/env bash
# Write Dockerfile and study.def (Apptainer), the study's environment as a container, from study.in (Python) and study.lock.
#   docker build --tag coact envs          or, without Docker:
#   cd envs && apptainer build study.sif study.def
set -euo pipefail
cd "$(dirname "$0")"
python=$(sed -n 's/^# python==//p' study.in)
header="# Written by envs/containers.sh from study.in and study.lock; do not edit."
cat > Dockerfile <<END
$header
# Options of pip, such as another index with builds of PyTorch for CPUs: --build-arg PIP_OPTIONS="--extra-index-url URL"
FROM python:$python-slim
ARG PIP_OPTIONS=""
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
COPY study.lock /opt/coact/study.lock
RUN python -m pip install --no-cache-dir \$PIP_OPTIONS -r /opt/coact/study.lock
END
cat > study.def <<END
$header
# Options of pip, such as another index with builds of PyTorch for CPUs: --build-arg PIP_OPTIONS="--extra-index-url URL"
Bootstrap: docker
From: python:$python-slim

%arguments
    PIP_OPTIONS=

%files
    study.lock /opt/coact/study.lock

%post
    apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
    python -m pip install --no-cache-dir {{ PIP_OPTIONS }} -r /opt/coact/study.lock
END
