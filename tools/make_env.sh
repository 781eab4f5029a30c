#!/bin/sh
# Write .env from .env.example with fresh secrets, unless there is one; its owner alone can read it.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
    echo ".env is there already; nothing was changed."
    exit 0
fi
umask 077
secret() { # $1 random bytes as hexadecimal digits
    od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'
}
while IFS= read -r line; do
    case $line in
    API_KEY=) echo "$line$(secret 32)" ;;
    POSTGRES_PASSWORD= | MINIO_PASSWORD=) echo "$line$(secret 20)" ;; # MinIO takes up to 40 letters
    *) printf '%s\n' "$line" ;;
    esac
done <.env.example >.env.new
mv .env.new .env
echo "Wrote .env with fresh secrets. Back it up: without it, the database and the bucket stay closed."
