#!/usr/bin/env bash
# Builds the image of every target of deploy/Dockerfile, with Docker or Podman, whichever has an engine that runs.
#
#   deploy/build_images.sh [TARGET...]        default: all but extractor-tensorflow, which is large
#
# BASE_IMAGE           another base than the official Python image; needs Python 3.11 with its venv module
# OBJECT_STORE_IMAGE   another image of the S3 gateway
# PIP_CONF             a pip.conf to install with; it stays out of the images
# TAG                  default: latest
# BUILD_OPTIONS        more options of `build`, such as --network=host
# REQUIRE_IMAGES=1     a build that cannot be tried is an error, not a skip
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  targets=(intake extractor ledger webhooks api tools object-store)
fi

skip() {
  printf '\n*** SKIPPED: no image was built: %s\n\n' "$1" >&2
  [ "${REQUIRE_IMAGES:-0}" != 1 ] || exit 1
  exit 0
}

engine=""
for candidate in docker podman; do
  if command -v "$candidate" >/dev/null && timeout 20 "$candidate" info >/dev/null 2>&1; then
    engine=$candidate
    break
  fi
done
[ -n "$engine" ] || skip "neither docker nor podman has an engine that runs here"

# The default of an ARG of the Dockerfile.
default_of() {
  sed -n "s/^ARG $1=//p" deploy/Dockerfile
}

have() {
  "$engine" image inspect "$1" >/dev/null 2>&1 || timeout 120 "$engine" pull --quiet "$1" >/dev/null 2>&1
}

base_image=${BASE_IMAGE:-$(default_of BASE_IMAGE)}
have "$base_image" || skip "$engine runs, but the base image $base_image cannot be pulled here"

store_image=${OBJECT_STORE_IMAGE:-$(default_of OBJECT_STORE_IMAGE)}
if [[ " ${targets[*]} " == *" object-store "* ]] && ! have "$store_image"; then
  [ "${REQUIRE_IMAGES:-0}" != 1 ] || { echo "$store_image cannot be pulled" >&2; exit 1; }
  printf '\n*** SKIPPED: object-store: %s cannot be pulled here\n' "$store_image" >&2
  remaining=()
  for target in "${targets[@]}"; do
    [ "$target" = object-store ] || remaining+=("$target")
  done
  targets=("${remaining[@]}")
fi

options=(--file deploy/Dockerfile)
[ -z "${BASE_IMAGE:-}" ] || options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
[ -z "${OBJECT_STORE_IMAGE:-}" ] || options+=(--build-arg "OBJECT_STORE_IMAGE=$OBJECT_STORE_IMAGE")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip.conf,src=$PIP_CONF")
[ -z "${BUILD_OPTIONS:-}" ] || read -ra extra <<<"$BUILD_OPTIONS"

for target in "${targets[@]}"; do
  image="ocr-services/$target:${TAG:-latest}"
  printf '\n=== %s with %s\n' "$image" "$engine"
  "$engine" build "${options[@]}" ${extra[@]+"${extra[@]}"} --target "$target" --tag "$image" .
done

printf '\n'
for target in "${targets[@]}"; do
  image="ocr-services/$target:${TAG:-latest}"
  bytes=$("$engine" image inspect --format '{{.Size}}' "$image")
  user=$("$engine" image inspect --format '{{.Config.User}}' "$image")
  printf 'built %-36s %5d MB  runs as %s\n' "$image" $((bytes / 1000000)) "$user"
done
