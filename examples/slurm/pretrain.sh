#!/bin/bash
# Pre-training on several nodes under Slurm, until it is done: the job stops and saves before its time is up, queues itself again and goes on.
#
#     sbatch --nodes 4 examples/slurm/pretrain.sh --data TABLE --out RUN --batch-size 4096
#
# Options of sbatch win over those below; everything after the script's name goes to `crosspoint3d pretrain`. TABLE and RUN are on a
# disk that all nodes see (TABLE may be a URL; of RUN only the first node needs to see the disk). The command crosspoint3d and torchrun
# must be on the path of every node: activate the environment before sbatch, which hands it on.
#SBATCH --job-name=pretrain
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -uo pipefail

processes=${PROCESSES_PER_NODE:-${SLURM_GPUS_ON_NODE:-8}}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
stopped=0

stop() { # Slurm's notice that time is up, or a preemption
    stopped=1
    kill -TERM "$job"
}

# Every process saves and stops on SIGTERM; one that dies or hangs is named by the others within a minute. The first start and every
# later one are the same command, because of --resume.
srun --kill-on-bad-exit=1 torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$processes" \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$first:${PORT:-29500}" \
    -m crosspoint3d pretrain "$@" --resume &
job=$!
trap stop TERM
wait "$job"
status=$?
while kill -0 "$job" 2>/dev/null; do # the trap ends the first wait
    wait "$job"
    status=$?
done
if ((stopped)); then
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$status"
