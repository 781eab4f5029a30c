#!/bin/sh
# Build the image on a Debian machine without a Docker engine: the Dockerfile's own steps, one by one,
# over a clean Debian tree in place of python:3.13-slim-trixie. As root, with the packages buildah,
# crun and debootstrap:
#
#   tools/build_without_engine.sh FOLDER [arguments of buildah bud, such as --target cuda]
#
# PIP_CONFIG_FILE and SSL_CERT_FILE, where set, are mounted for the build and not kept in the image.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
buildah() {
    command buildah --root "$folder/store" --runroot "$folder/run" "$@"
}

if [ ! -e "$folder/debian/usr/local/bin/python3" ]; then
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        trixie "$folder/debian"
    rm -rf "$folder"/debian/var/cache/apt/* "$folder"/debian/var/lib/apt/lists/*
    ln -s /usr/bin/pip3 "$folder/debian/usr/local/bin/pip"
    ln -s /usr/bin/python3 "$folder/debian/usr/local/bin/python3"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder/debian" /
    buildah commit --quiet --rm "$container" localhost/python-on-debian
fi

mounts=""
[ -z "${PIP_CONFIG_FILE:-}" ] || mounts="$mounts --volume $PIP_CONFIG_FILE:/etc/pip.conf:ro"
[ -z "${SSL_CERT_FILE:-}" ] ||
    mounts="$mounts --volume $SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro"
# shellcheck disable=SC2086 # several words are meant
buildah bud --isolation chroot --format docker --layers $mounts \
    --build-arg PYTHON_IMAGE=localhost/python-on-debian --tag localhost/proofreel "$@" .
