#!/bin/sh
# On a machine with a GPU: builds the kernels, puts every pair before the judge on the device, runs compute-sanitizer's four
# tools over them, measures, and writes one dated CSV and a Markdown table to tests/bench/results/.
set -eu
cd "$(dirname "$0")/../.."

usage() {
  cat <<'TEXT'
usage: ./run gpu [--deps DIR] [--out DIR] [--skip-sanitizer] [--skip-bench]

Needs a GPU with its driver, nvcc (on the PATH, in CUDA_HOME/bin or /usr/local/cuda/bin), CMake and a C++20 compiler.
  --deps DIR         a folder with the libraries' files (DIR/usr/include, DIR/usr/lib) in place of a package manager
  --out DIR          where the CSV and the table go (tests/bench/results)
  --skip-sanitizer   without compute-sanitizer
  --skip-bench       without the benchmarks; no file is written then
example: ./run gpu --deps .deps
TEXT
}

deps='' out=tests/bench/results sanitize=yes bench=yes
while [ $# -gt 0 ]; do
  case $1 in
    --deps | --out)
      [ $# -ge 2 ] || { echo "gpu: $1 needs a folder" >&2; exit 2; }
      if [ "$1" = --deps ]; then deps=$2; else out=$2; fi
      shift 2
      ;;
    --skip-sanitizer) sanitize=no; shift ;;
    --skip-bench) bench=no; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "gpu: no option '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

step() { printf '== %s\n' "$*"; }

build=build/gpu
set -- -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DDSLLM_DEVICE=ON -DDSLLM_EXECUTOR=OFF
if [ -n "$deps" ]; then
  [ -d "$deps/usr/include" ] || { echo "gpu: expected $deps/usr/include, got no such folder" >&2; exit 1; }
  deps=$(cd "$deps" && pwd)
  libraries=$deps/usr/lib/$(uname -m)-linux-gnu
  set -- "$@" "-DCMAKE_PREFIX_PATH=$deps/usr" "-DCMAKE_LIBRARY_PATH=$libraries" "-DCMAKE_INCLUDE_PATH=$deps/usr/include"
  LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
fi
if command -v ninja >/dev/null 2>&1; then set -- "$@" -G Ninja; fi

step 'build'
cmake "$@" >/dev/null
targets=dsllm-verify-device
[ "$bench" = no ] || targets="$targets dsllm-bench-device"
# shellcheck disable=SC2086  # a list of targets
cmake --build "$build" --parallel "$(nproc)" --target $targets

step 'every pair on the device'
"$build/bin/dsllm-verify-device"

if [ "$sanitize" = yes ]; then
  sanitizer=$(command -v compute-sanitizer || echo "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer")
  [ -x "$sanitizer" ] || { echo "gpu: compute-sanitizer is not there; --skip-sanitizer goes on without it" >&2; exit 1; }
  for tool in memcheck racecheck initcheck synccheck; do
    step "compute-sanitizer: $tool"
    # Allocations that are copied back as they came are the judge's guards, so initcheck looks at kernels alone.
    "$sanitizer" --tool "$tool" --error-exitcode 1 "$build/bin/dsllm-verify-device" >"$build/$tool.log" 2>&1 || {
      tail -n 40 "$build/$tool.log" >&2
      exit 1
    }
    grep 'ERROR SUMMARY\|RACECHECK SUMMARY' "$build/$tool.log" || true
  done
fi

[ "$bench" = yes ] || exit 0
step 'benchmarks'
mkdir -p "$out"
name=$out/$(date +%Y-%m-%d)-$("$build/bin/dsllm-bench-device" --device-name | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9.-')
"$build/bin/dsllm-bench-device" --csv "$name.csv" --markdown "$name.md" \
  --commit "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
step "written: $name.csv, $name.md"
