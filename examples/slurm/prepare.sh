#!/bin/bash
# `crosspoint3d prepare` on the cores of several nodes under Slurm: Ray runs for the length of the job.
#
#     sbatch --nodes 8 examples/slurm/prepare.sh SOURCE --out TABLE
#
# Everything after the script's name goes to `crosspoint3d prepare`. SOURCE is on a disk that all nodes see under the same path; the first
# node writes TABLE. At the end all Ray processes on the nodes are ended: do not share them with another job. A job that is ended goes
# on from its last commit by the same command. Needs the extra `ray`, 2.49 or newer.
#SBATCH --job-name=prepare
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):${PORT:-6379}
export OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0

srun --kill-on-bad-exit=1 ray symmetric-run --address "$head" --min-nodes "$SLURM_NNODES" --num-cpus "$SLURM_CPUS_PER_TASK" \
    -- crosspoint3d prepare "$@" --engine ray --address auto
