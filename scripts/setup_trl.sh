#!/usr/bin/env bash
# Make .venv-trl with the version of TRL that docs/performance.md compares with: `bash scripts/setup_trl.sh [FOLDER]`.
# An environment of its own, since TRL asks for versions that need not be this project's. Stopped half-way, it goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${1:-.venv-trl}
torch=$(sed -n 's/^torch==//p' constraints/cpu.txt)
transformers=$(sed -n 's/^transformers==//p' constraints/cpu.txt)
python3.11 -m venv "$folder" 2>/dev/null || python3 -m venv "$folder"
pip=("$folder/bin/pip" install --quiet --disable-pip-version-check)
echo "installing TRL, torch and transformers into $folder: some minutes ..."
if ! nvidia-smi >/dev/null 2>&1; then # the CPU's build where one is found, as in setup.sh: the default one is gigabytes larger
  "${pip[@]}" "torch==$torch+cpu" 2>/dev/null ||
    "${pip[@]}" --retries 0 --timeout 10 "torch==$torch" --index-url https://download.pytorch.org/whl/cpu 2>/dev/null || true
fi
"${pip[@]}" "torch==$torch" "transformers==$transformers" trl==1.16.0 "datasets>=3" "accelerate>=1.4"
"$folder/bin/python" -c 'import trl; print("trl", trl.__version__, "is ready")'
