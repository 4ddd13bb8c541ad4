#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
# The gate of the device core, on a machine with an NVIDIA GPU, CUDA 13 and Python >= 3.10 with numpy, nanobind, pybind11,
# scikit-build-core, cmake, ninja, pytest, torch (the peers) and, if possible, cupy and cuquantum-python. Needs no network.
# Usage: bench/gpu_gate.sh [STEP ...], default all: build tests memcheck racecheck bench
# What is finished for this state of the sources is not done again, and the benchmark goes on at its first missing row: run it
# until it says that all is done. Writes below build/gpu-gate (or $FLASHKET_GATE_DIR) and copies logs and results to $OUT if that
# is set. FLASHKET_GATE_SECONDS (default 540) is how long one call may take.
set -uo pipefail
cd "$(dirname "$0")/.."
work=${FLASHKET_GATE_DIR:-$PWD/build/gpu-gate}
deadline=$((SECONDS + ${FLASHKET_GATE_SECONDS:-540}))
python=${PYTHON:-python3}
steps=("$@")
[[ ${#steps[@]} -gt 0 ]] || steps=(build tests memcheck racecheck bench)
# Of the sources themselves: a checkout without git has no commit.
state=$(find CMakeLists.txt pyproject.toml cpp cuda python tests bench -type f ! -name '*.pyc' ! -name '*.so' -print0 | sort -z | xargs -0 sha256sum |
  sha256sum | cut -c1-16)
site=$work/$state/site
mkdir -p "$site" "$work/$state"
export PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1

left() { echo $((deadline - SECONDS)); }

# Into a folder of its own, so that an installed flashket is neither used nor changed. One architecture: the gate's machine.
build() {
  local cc
  cc=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  [[ $cc == 90 ]] && cc=90a
  local folder
  for folder in . ./cuda; do
    "$python" -m pip install --quiet --no-deps --no-build-isolation --no-index --upgrade --target "$site" \
      --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES="$cc-real" "$folder" || return 1
  done
  "$python" -c 'import flashket as fk; b = {x.name: x for x in fk.backends()}["cuda"]; assert b.available, b.reason; print("cuda available")'
}

tests() { timeout "$(left)" "$python" -m pytest -q -rs -p no:cacheprovider tests/cuda -k "not emulat"; }

# The contract's smallest shapes: the sanitizers slow kernels down by factors of ten to a hundred.
sanitized() {
  timeout "$(left)" compute-sanitizer --tool "$1" --error-exitcode 1 --launch-timeout 120 "$python" -m pytest -q -p no:cacheprovider tests/cuda \
    -k "small and not emulat"
}
memcheck() { sanitized memcheck; }
racecheck() { sanitized racecheck; }

bench() { timeout "$(left)" "$python" bench/gpu_bench.py --json "$work/$state/bench.json" --seconds "$(left)"; }

status=0
for step in "${steps[@]}"; do
  mark=$work/$state/$step.done
  if [[ -f $mark ]]; then
    echo "[gate] $step: done before"
    continue
  fi
  if [[ $(left) -lt 30 ]]; then
    echo "[gate] $step: no time left in this call; run again"
    status=3
    break
  fi
  began=$SECONDS
  if "$step" > "$work/$state/$step.log" 2>&1; then
    touch "$mark"
    echo "[gate] $step: passed in $((SECONDS - began)) s"
  else
    echo "[gate] $step: FAILED after $((SECONDS - began)) s; the end of its log:"
    tail -n 40 "$work/$state/$step.log"
    status=1
    [[ $step == build ]] && break
  fi
done
tail -n 60 "$work/$state/bench.log" 2> /dev/null
if [[ -n ${OUT:-} ]]; then cp -r "$work/$state"/*.log "$work/$state"/*.json "$OUT"/ 2> /dev/null; fi
[[ $status -eq 0 ]] && echo "[gate] all done for $state"
exit $status
