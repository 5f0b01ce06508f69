#!/usr/bin/env bash
# Make .venv-trl with the version of TRL that docs/performance.md compares with: `bash scripts/setup_trl.sh [FOLDER]`.
# An environment of its own, since TRL asks for versions that need not be this project's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${1:-.venv-trl}
torch=$(sed -n 's/^torch==//p' constraints/cpu.txt)
transformers=$(sed -n 's/^transformers==//p' constraints/cpu.txt)
python3.11 -m venv "$folder" 2>/dev/null || python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
  "torch==$torch" "transformers==$transformers" trl==1.16.0 "datasets>=3" "accelerate>=1.4"
"$folder/bin/python" -c 'import trl; print("trl", trl.__version__, "is ready")'
