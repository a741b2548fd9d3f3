# shellcheck shell=bash
# Set-up shared by quickstart.sh and the scripts in tests/; sourced, never run. Installs system packages
# (and what the caller named in extra_packages), makes .venv/ and configures build/release/. Leaves the
# shell in the repository's root, with what MPI needs in the environment. Cheap to repeat.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# mpirun refuses root otherwise, and containers forbid the system call that shared memory prefers.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# nproc would report OMP_NUM_THREADS.
# shellcheck disable=SC2034
cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)

say() { printf '\n== %s\n' "$*"; }

# logged LOG COMMAND...: runs the command quietly; shows what it said only when it fails.
logged() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "'$*' failed (see above) The whole log is $log." >&2
    exit 2
  fi
}

# install_packages EXTRA...: what the program needs, and EXTRA, without which one can do.
install_packages() {
  local wanted=(
    build-essential cmake pkg-config libopenmpi-dev openmpi-bin libopenblas-dev
    libscalapack-openmpi-dev libslepc-real-dev libpetsc-real-dev libhdf5-openmpi-dev libgtest-dev
    libgmock-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libspdlog-dev libfmt-dev
    libssl-dev libxxhash-dev libeigen3-dev python3-venv)
  local extra=() needed=() package as_root=()
  if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: taking for granted what these packages hold: ${wanted[*]}"
    return
  fi
  installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }
  for package in "${wanted[@]}"; do installed "$package" || needed+=("$package"); done
  for package in "$@"; do installed "$package" || extra+=("$package"); done
  [[ ${#needed[@]} -gt 0 || ${#extra[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]]; then
    if ! sudo -n true 2>/dev/null; then
      if [[ ${#needed[@]} -eq 0 ]]; then
        echo "Going on without ${extra[*]} (neither root nor sudo without a password)"
        return
      fi
      echo "Packages are missing (and there is neither root nor sudo without a password)" \
        "Have them installed: apt-get install ${needed[*]}" >&2
      exit 2
    fi
    as_root=(sudo -n)
  fi
  apt_install() {  # a source that cannot be reached matters only if a package is missing then
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    "${apt[@]}" update || true
    "${apt[@]}" install -y --no-install-recommends "$@"
  }
  if [[ ${#needed[@]} -gt 0 ]]; then
    say "installing ${needed[*]}"
    logged build/packages.log apt_install "${needed[@]}"
  fi
  if [[ ${#extra[@]} -gt 0 ]]; then
    say "installing ${extra[*]}"
    mkdir -p build
    apt_install "${extra[@]}" >build/extra_packages.log 2>&1 ||
      echo "Going on without them (apt-get failed, see build/extra_packages.log)"
  fi
}

make_venv() {
  local stamp=.venv/requirements.txt
  if ! .venv/bin/python -c '' 2>/dev/null; then
    say "making .venv"
    python3 -m venv --clear .venv
  fi
  # The stamp is a copy of what was installed last.
  if ! cmp -s jobs/requirements.txt "$stamp"; then
    say "installing Python packages into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r jobs/requirements.txt
    cp jobs/requirements.txt "$stamp"
  fi
}

# Those that the caller could do with on top of what the program needs.
declare -a extra_packages
install_packages "${extra_packages[@]}"
make_venv
logged build/release/configure.log cmake --preset release
