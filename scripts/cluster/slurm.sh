#!/usr/bin/env bash
# One task per GPU; Lightning reads nodes and ranks from SLURM. `sbatch scripts/cluster/slurm.sh CONFIG [OPTION ...]`
# Started again after its time was up, it goes on from the last checkpoint: submit it with `--dependency=singleton`.
#SBATCH --job-name=lit-passk
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=SIGTERM@300
set -euo pipefail
config=${1:?usage: sbatch scripts/cluster/slurm.sh CONFIG [OPTION ...]}
shift
source .venv/bin/activate
folder=runs/$SLURM_JOB_NAME
resume=()
[ -d "$folder/checkpoints" ] && resume=(--ckpt_path last)
srun lit-passk fit --config "$config" --trainer.default_root_dir "$folder" \
  --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "${resume[@]}" "$@"
