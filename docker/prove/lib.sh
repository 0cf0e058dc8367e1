# Sourced by the proofs. A Docker engine, and base images under the names that docker/Dockerfile and compose.yaml use.
#
# Where a Docker engine runs and can pull, it is used, and so are the real base images. Elsewhere (a machine without a
# registry) an engine is started for the time of the proof, and stand-ins are made from Debian packages. A stand-in carries
# this machine's certificates and package mirror: it is thrown away, never pushed.
# shellcheck shell=bash
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${FLAWLINE_PROVE_DIR:-/var/tmp/flawline-prove}
image=flawline:prove
standin_base=flawline-standin/python:bookworm

say() { printf '\n== %s  [%s s]\n' "$1" "$SECONDS"; }
fail() { echo "PROOF FAILED: $1" >&2; exit 1; }

need() { # debian packages, where they are missing
  local missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  if ((${#missing[@]})); then
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

netns=flawline-prove

# engine [isolated]: an engine of our own. Without networks (what runs in it uses the host's, on loopback), or with them, inside a
# network namespace that is thrown away afterwards with every bridge and rule that the engine made in it.
engine() {
  local wanted=${1:-host}
  if docker info >/dev/null 2>&1 && [[ ! -f $work/docker.pid ]]; then return; fi
  need docker.io iptables
  mkdir -p "$work"
  export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=1
  PATH=/usr/bin:/usr/sbin:$PATH # Debian's client is the one that belongs to Debian's engine
  if [[ $(cat "$work/network" 2>/dev/null) != "$wanted" ]]; then engine_off; fi
  if docker info >/dev/null 2>&1; then return; fi
  echo "$wanted" >"$work/network"
  local options=(--data-root "$work/data" --exec-root "$work/exec" -H "$DOCKER_HOST" -p "$work/docker.pid" --storage-driver overlay2)
  if [[ $wanted == isolated ]]; then
    ip netns list | grep -q "^$netns" || ip netns add "$netns"
    inside ip link set lo up
    inside dockerd "${options[@]}" >"$work/dockerd.log" 2>&1 &
  else
    dockerd "${options[@]}" --bridge=none --iptables=false --ip6tables=false --ip-forward=false >"$work/dockerd.log" 2>&1 &
  fi
  until docker info >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || fail "the Docker engine did not start: $(tail -3 "$work/dockerd.log")"
    sleep 0.2
  done
}

inside() { # run where published ports are: an isolated engine's, or those of the engine that runs here anyway
  if [[ -e /run/netns/$netns ]]; then nsenter --net="/run/netns/$netns" "$@"; else "$@"; fi
}

engine_off() { # only one that we started
  [[ -f $work/docker.pid ]] || return 0
  local pid
  pid=$(<"$work/docker.pid")
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  rm -f "$work/docker.pid" # one that was killed leaves it
  umount "$work/exec/netns/default" 2>/dev/null || true
  ip netns del "$netns" 2>/dev/null || true
}

mirror() { awk '/^URIs/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources; }

# standin NAME PACKAGES [ENTRYPOINT]: a Debian file system with this machine's certificates, as an image of that name
standin() {
  local name=$1 packages=$2 entrypoint=${3:-} root packed
  if docker image inspect "$name" >/dev/null 2>&1; then return; fi
  packed=$work/$(tr ',/:' '---' <<<"$packages").tar
  if [[ ! -f $packed ]]; then
    need debootstrap
    root=$(mktemp -d -p "$work")
    debootstrap --variant=minbase --include="$packages" bookworm "$root" "$(mirror)" >"$work/debootstrap.log" 2>&1 ||
      fail "debootstrap: $(tail -3 "$work/debootstrap.log")"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/machine-ca.crt"
    printf '[global]\ncert=/etc/machine-ca.crt\n' >"$root/etc/pip.conf"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale}/*
    tar -C "$root" -cf "$packed.partial" . && mv "$packed.partial" "$packed"
    rm -rf "$root"
  fi
  docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' --change "${entrypoint:-CMD [\"/bin/sh\"]}" "$packed" "$name" >/dev/null
}

# The base of our images: BASE from the environment, the real one where it can be pulled, else a stand-in. In an engine of our own
# the stand-in has the real one's name, so that the commands of the pages build with it as they stand there.
base() {
  if [[ -n ${BASE:-} ]]; then return; fi
  BASE=$(sed -n 's/^ARG BASE=//p' "$repository/docker/Dockerfile")
  if docker pull -q "$BASE" >/dev/null 2>&1; then return; fi
  [[ -f $work/docker.pid ]] || BASE=$standin_base
  standin "$BASE" ca-certificates,python3,python3-venv
}

# command_of PAGE BEGINNING [FROM TO]...: the one command of that page that begins so, letter by letter but for each FROM, which becomes TO
command_of() {
  local command
  command=$(python3 "$repository/docker/prove/page.py" "$1" "$2") || fail "$1 has no such command: $2"
  shift 2
  while (($#)); do
    [[ $command == *"$1"* ]] || fail "there is no $1 in: $command"
    command=${command//"$1"/"$2"}
    shift 2
  done
  echo "$command"
}

# as_written: runs it. Builds get the host's network in an engine of our own, which has none for them.
as_written() {
  local command
  command=$(command_of "$@")
  printf '$ %s\n' "$command"
  if [[ -f $work/docker.pid ]]; then command=${command/#docker build /docker build --network host }; fi
  eval "$command"
}

# The client's plugin for Compose v2, from the next Debian where this one's client lacks it.
compose_plugin() {
  if docker compose version >/dev/null 2>&1; then return; fi
  export DOCKER_CONFIG=$work/client
  if docker compose version >/dev/null 2>&1; then return; fi
  local there=$work/trixie options
  mkdir -p "$there"/{lists,archives}/partial "$DOCKER_CONFIG/cli-plugins"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) trixie main" >"$there/sources.list"
  touch "$there/status"
  options=(-q -o "Dir::Etc::sourcelist=$there/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$there/lists"
    -o "Dir::State::status=$there/status" -o "Dir::Cache::archives=$there/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root)
  (cd "$there" && apt-get "${options[@]}" update && apt-get "${options[@]}" download docker-compose) >"$there/log" 2>&1 ||
    fail "Compose v2 was not found: $(tail -3 "$there/log")"
  dpkg -x "$there"/docker-compose_*.deb "$there/root"
  ln -sf "$there/root/usr/libexec/docker/cli-plugins/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose"
  docker compose version >/dev/null || fail "Compose v2 does not run here"
}

# build TARGET TAG [options]
build() {
  local target=$1 tag=$2
  shift 2
  docker build -q --network host --build-arg "BASE=$BASE" --target "$target" -t "$tag" "$@" \
    -f "$repository/docker/Dockerfile" "$repository" >/dev/null
}

until_true() { # SECONDS COMMAND...: the command succeeds within that time
  local limit=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < limit)) || return 1
    sleep 0.2
  done
}

frames() { # COUNT FOLDER: generated frames, drawn by the image itself
  mkdir -p "$2" && chmod 777 "$2"
  docker run --rm --network none -v "$2:/frames" "$image" sample /frames --count "$1" --seed 3 >/dev/null
}
