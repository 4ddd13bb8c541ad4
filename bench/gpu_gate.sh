#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
# The gate of the device core, on a machine with an NVIDIA GPU, CUDA 13 and Python >= 3.10 with pip, numpy, nanobind >= 2.10, pybind11,
# scikit-build-core, cmake, ninja, pytest and torch (the peers); with cupy, jax, scipy and cuquantum-python it tests more. Needs no network.
# Usage: bench/gpu_gate.sh [STEP ...], default all: build tests memcheck racecheck bench
# What is finished for this state of the sources is not done again, the tests go on at their first missing file, the sanitizers at their
# first missing test and the benchmark at its first missing row: run it until it says that all is done. Writes a folder for the state below
# build/gpu-gate (or $FLASHKET_GATE_DIR). If $OUT is set it gets the logs, bench.json and the folder as one archive, STATE.tar.gz: put
# below build/gpu-gate, the gate goes on from there on another machine of the same kind.
# FLASHKET_GATE_SECONDS (default 540) is how long one call may take. Exit status: 0 all passed, 1 something failed, 3 not finished.
# FLASHKET_GATE_EMULATED=1 tries the gate without a GPU: build and tests of the emulated device.
set -uo pipefail
cd "$(dirname "$0")/.."
work=${FLASHKET_GATE_DIR:-$PWD/build/gpu-gate}
deadline=$((SECONDS + ${FLASHKET_GATE_SECONDS:-540}))
# Itself, not a script that starts it: compute-sanitizer follows processes.
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)') || exit
emulated=${FLASHKET_GATE_EMULATED:-}
[[ -n $emulated ]] && export FLASHKET_CUDA_EMULATOR=1
steps=("$@")
if [[ ${#steps[@]} -eq 0 ]]; then
  steps=(build tests)
  [[ -n $emulated ]] || steps+=(memcheck racecheck bench)
fi
# Of the sources themselves: a checkout without git has no commit.
state=$(find CMakeLists.txt pyproject.toml cpp cuda python tests bench -type f ! -name '*.pyc' ! -name '*.so' -print0 | sort -z | xargs -0 sha256sum |
  sha256sum | cut -c1-16)${emulated:+-emulated}
folder=$work/$state
site=$folder/site
if [[ ! -d $folder && -f $folder.tar.gz ]]; then
  tar -xzf "$folder.tar.gz" -C "$work" || exit
fi
mkdir -p "$site"
export PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# JAX would take three quarters of the card.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
# Its own compiler and sanitizer, where the toolkit is not on the path.
[[ -d /usr/local/cuda/bin ]] && PATH=$PATH:/usr/local/cuda/bin

left() { echo $((deadline - SECONDS)); }

limited() { timeout -k 10 "$(left)" "$@"; }

# Into a folder of its own, so that an installed flashket is neither used nor changed. One architecture: the gate's machine. Without
# nanobind's split mode: the module is for this Python and needs no wheel at run time.
build() {
  local device=(cmake.define.FLASHKET_NANOBIND_SPLIT=OFF wheel.py-api=)
  if [[ -n $emulated ]]; then
    device+=(cmake.define.FLASHKET_CUDA_EMULATE=ON build-dir=../build/cuda-emulated)
  else
    local cc
    cc=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    [[ -n $cc ]] || { echo "nvidia-smi names no GPU" && return 1; }
    [[ $cc == 90 || $cc == 100 ]] && cc+=a
    device+=("cmake.define.CMAKE_CUDA_ARCHITECTURES=$cc-real")
  fi
  local pip=("$python" -m pip install --no-deps --no-build-isolation --no-index --upgrade --target "$site")
  limited "${pip[@]}" . || return
  limited "${pip[@]}" "${device[@]/#/--config-settings=}" ./cuda || return
  "$python" -c 'import flashket as fk; from flashket.backends.cuda import CUDA; assert CUDA.available, CUDA.reason; print(CUDA.properties())'
}

# A process for each file: after a fault of memory a process is lost, and a call that runs out of time goes on here. Not
# test_state_kernels: it compiles kernels for the CPU.
tests() {
  local file mark status=0
  for file in tests/cuda/test_*.py; do
    mark=$folder/$(basename "$file").done
    [[ -f $mark || $file == */test_state_kernels.py ]] && continue
    [[ $(left) -lt 20 ]] && return 3
    echo "== $file"
    limited "$python" -m pytest -q -rs -p no:cacheprovider -W default "$file"
    case $? in
      0 | 5) touch "$mark" ;;
      124 | 137) return 3 ;;
      *) status=1 ;;
    esac
  done
  return $status
}

# Every family of kernels once: the sanitizers slow kernels down by factors of ten to a hundred. A process for each test.
sanitized() {
  local test mark status=0
  for test in $(sed -n 's/^def \(test_[a-z0-9_]*\)(.*/\1/p' tests/cuda/test_small.py); do
    mark=$folder/$1.$test.done
    [[ -f $mark ]] && continue
    [[ $(left) -lt 20 ]] && return 3
    echo "== $test"
    limited compute-sanitizer --tool "$1" --error-exitcode 1 --launch-timeout 120 --target-processes all \
      "$python" -m pytest -q -rs -p no:cacheprovider -W default "tests/cuda/test_small.py::$test"
    case $? in
      0 | 5) touch "$mark" ;;
      124 | 137) return 3 ;;
      *) status=1 ;;
    esac
  done
  return $status
}
memcheck() { sanitized memcheck; }
racecheck() { sanitized racecheck; }

# 4: a fault took the process; the rows behind it are run by the next one.
bench() {
  local status=3
  [[ $(left) -gt 60 ]] && status=4
  while [[ $status -eq 4 && $(left) -gt 60 ]]; do
    limited "$python" bench/gpu_bench.py --json "$folder/bench.json" --seconds "$(left)"
    status=$?
  done
  return $status
}

missing=$("$python" -c 'import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n) is None))' \
  pip numpy nanobind pybind11 scikit_build_core pytest torch triton cupy jax scipy hypothesis cuquantum)
echo "[gate] $("$python" -V) ${missing:+without $missing; what needs these is left out or fails}"

status=0
for step in "${steps[@]}"; do
  mark=$folder/$step.done
  if [[ -f $mark ]]; then
    echo "[gate] $step: done before"
    continue
  fi
  if [[ $(left) -lt 30 ]]; then
    echo "[gate] $step: no time left in this call; run again"
    [[ $status -eq 0 ]] && status=3
    break
  fi
  began=$SECONDS
  "$step" >> "$folder/$step.log" 2>&1
  result=$?
  case $result in
    0)
      touch "$mark"
      echo "[gate] $step: passed in $((SECONDS - began)) s"
      ;;
    3 | 124 | 137)
      echo "[gate] $step: not finished after $((SECONDS - began)) s; run again"
      [[ $status -eq 0 ]] && status=3
      ;;
    *)
      echo "[gate] $step: FAILED with $result after $((SECONDS - began)) s; the end of its log:"
      tail -n 40 "$folder/$step.log"
      status=1
      ;;
  esac
  [[ $step == build && $result -ne 0 ]] && break
done
[[ ! -f $folder/bench.log ]] || tail -n 80 "$folder/bench.log"
if [[ -n ${OUT:-} ]]; then
  tar -czf "$OUT/$state.tar.gz" -C "$work" "$state"
  for file in "$folder"/*.log "$folder/bench.json"; do [[ ! -f $file ]] || cp "$file" "$OUT"/; done
fi
[[ $status -eq 0 ]] && echo "[gate] all done for $state"
exit $status
