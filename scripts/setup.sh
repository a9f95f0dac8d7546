#!/usr/bin/env bash
# Everything `make demo` and `make test` need on a fresh Debian or Ubuntu machine; safe to run again.
# System packages by apt (as root or with sudo; otherwise the exact command is printed), Python packages from
# requirements.lock, by hash, into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# program or file that shows a package is there : package
needs=(
  "gcc:gcc" "/usr/include/stdio.h:libc6-dev"
  "arm-none-eabi-gcc:gcc-arm-none-eabi" "/usr/lib/arm-none-eabi/newlib/libc.a:libnewlib-arm-none-eabi"
  "qemu-system-arm:qemu-system-arm" "mosquitto:mosquitto" "chromium:chromium"
)

missing=()
for need in "${needs[@]}"; do
  probe=${need%%:*}
  if [[ $probe == /* ]]; then [[ -e $probe ]] || missing+=("${need#*:}")
  else PATH="$PATH:/usr/sbin:/sbin" command -v "$probe" >/dev/null || missing+=("${need#*:}"); fi
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if ((${#missing[@]})); then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ((EUID == 0)); then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo -n); else
    printf 'error: these system packages are missing, and this user may not install them. Run:\n  sudo %s\n' "$install" >&2
    exit 1
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install >&2
fi

digest=$(cat requirements.lock requirements-uv.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if [[ ! -f .venv/flota-setup || $(cat .venv/flota-setup) != "$digest" ]]; then
  say "Python packages into .venv (about 2.5 GB unpacked; minutes on a slow line)"
  [[ -x .venv/bin/python ]] || python3 -m venv .venv
  .venv/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements-uv.lock
  .venv/bin/uv pip install --require-hashes -r requirements.lock
  .venv/bin/uv pip install --no-deps --no-build-isolation -q -e .
  echo "$digest" > .venv/flota-setup
fi

.venv/bin/python -m flota.toolchain --fetch
say "ready: .venv/bin/flota"
