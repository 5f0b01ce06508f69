#!/usr/bin/env bash
# Build the documentation into site/ (open site/index.html, no server or network needed), warnings being errors; with
# `serve` show it at http://127.0.0.1:8000 and follow changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh docs
export NO_MKDOCS_2_WARNING=1 # an advertisement of the theme's
exec .venv/bin/mkdocs "${1:-build}"
