#!/usr/bin/env bash
# All that a CUDA machine has to show, from a checkout:
#
#     bash benchmarks/gpu.sh [parity] [tables] [steps] [train]        all four without arguments
#
# parity  the tests that run on the device, where pytest is, and parity.py, which needs nothing
# tables  knn.py, edge_conv.py, encoders.py, segment_step.py, transformer.py, memory.py
# steps   pretrain_step.py, ResNet-50 at 224 px and N = 2,048, at batch 32, 128 and 256, with and without --compile
# train   200 procedural shapes prepared and trained on for a few hundred steps, at the paper's widths
#         (data_wait in train.jsonl: share of the time without work for the device); checkpoint.py; loader.py, with a
#         device that waits
#
# Every part goes on when another fails; those that failed are listed at the end, and the status is then 1.
# PYTHON (python3), OUT (benchmarks/results/DATE-GPU), COMMIT (git's), DEVICE (cuda), QUICK=1 (tiny shapes) and LIMIT
# (seconds for each command, 280) are read from the environment. In OUT: log.txt, and a JSON file for each script.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

(($#)) || set -- parity tables steps train
for part in "$@"; do
    if [[ ! $part =~ ^(parity|tables|steps|train)$ ]]; then
        echo "gpu.sh: no part $part; there are parity, tables, steps and train" >&2
        exit 2
    fi
done

PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda}
LIMIT=${LIMIT:-280}
STEPS=300
quick=()
step=(--points 2048 --image-encoder resnet50 --image-size 224 --precision bfloat16 --repeats 11)
batches=(32 128 256)
pretrain=(--batch-size 20 --recipe paper --precision bfloat16)
if [[ ${QUICK:-0} != 0 ]]; then
    STEPS=3
    quick=(--quick)
    step=(--points 64 --k 8 --image-encoder resnet18 --image-size 32 --repeats 1)
    batches=(4)
    pretrain=(--batch-size 4 --points 64 --k 8 --width 0.25 --emb-dims 32 --image-encoder resnet18 --image-size 32)
fi
export PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
name=${gpu:-$DEVICE}
OUT=${OUT:-benchmarks/results/$(date -u +%Y-%m-%d)-${name//[^A-Za-z0-9]/-}}
mkdir -p "$OUT" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()

run() { # run NAME COMMAND...: timed and within the limit; a failure is noted
    local name=$1 start=$SECONDS status=0
    shift
    echo
    echo "== $name: $*"
    timeout "$LIMIT" "$@" || status=$?
    echo "== $name: $((SECONDS - start)) s, status $status"
    ((status == 0)) || failed+=("$name (status $status)")
    return "$status"
}

has() { # has MODULE...: whether all can be imported; says which cannot
    "$PYTHON" - "$@" <<'END'
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
END
}

environment() {
    echo "$(date -u +%Y-%m-%dT%H:%M:%SZ), commit ${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}"
    echo "files of src, benchmarks and tests that differ from it: $(git status --short -- src benchmarks tests | wc -l)"
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem --format=csv 2>/dev/null
    "$PYTHON" -c "
import platform, sys, torch
print('python', platform.python_version(), 'torch', torch.__version__, 'cuda', torch.version.cuda)
try:
    import triton
    print('triton', triton.__version__)
except ImportError:
    print('no triton')
sys.exit('$DEVICE' == 'cuda' and not torch.cuda.is_available())" || failed+=("environment: torch sees no $DEVICE")
}

parity() {
    if has pytest hypothesis beartype jaxtyping; then
        run "tests" "$PYTHON" -m pytest -q -m "not slow" -p no:cacheprovider \
            tests/ops tests/models tests/test_losses.py
    else
        echo "== tests: skipped, the above is missing"
    fi
    run "parity" "$PYTHON" benchmarks/parity.py --device "$DEVICE" "${quick[@]}" --json "$OUT/parity.json"
}

tables() {
    local script
    for script in knn edge_conv encoders segment_step transformer memory; do
        run "$script" "$PYTHON" "benchmarks/$script.py" --device "$DEVICE" "${quick[@]}" --json "$OUT/$script.json"
    done
}

steps() {
    # What prepares and keeps shapes is imported by a step, but not used.
    local module
    mkdir -p "$work/unused"
    for module in lance pyarrow trimesh DracoPy; do
        has "$module" >/dev/null 2>&1 || echo "import sys
from unittest.mock import MagicMock
sys.modules[__name__] = MagicMock()" >"$work/unused/$module.py"
    done
    local -x PYTHONPATH=$PYTHONPATH:$work/unused
    if ! has crosspoint3d.training.step; then
        echo "== steps: skipped, the above is missing"
        return
    fi
    local batch compile
    for batch in "${batches[@]}"; do
        for compile in "" --compile; do
            run "step, batch $batch $compile" "$PYTHON" benchmarks/pretrain_step.py --device "$DEVICE" \
                --batch-size "$batch" $compile "${step[@]}" --json "$work/step-$batch$compile.json"
        done
    done
    "$PYTHON" - "$work"/step-*.json >"$OUT/pretrain_step.json" <<'END'
import json, pathlib, sys
paths = [path for path in map(pathlib.Path, sys.argv[1:]) if path.exists()]
print(json.dumps([json.loads(path.read_text()) for path in paths], indent=1))
END
}

train() {
    if ! has lance tyro trimesh DracoPy numba safetensors PIL; then
        echo "== train: skipped, the above is missing"
        return
    fi
    run "prepare" "$PYTHON" -m crosspoint3d prepare procedural:200 --out "$work/table" || return
    run "pretrain" "$PYTHON" -m crosspoint3d pretrain --data "$work/table" --out "$work/run" --device "$DEVICE" \
        --epochs 1000 --max-steps "$STEPS" "${pretrain[@]}"
    cp "$work/run/metrics.jsonl" "$OUT/train.jsonl" && head -n 1 "$OUT/train.jsonl" && tail -n 1 "$OUT/train.jsonl"
    run "checkpoint" "$PYTHON" benchmarks/checkpoint.py --device "$DEVICE" "${quick[@]}" --step-ms 100 \
        --json "$OUT/checkpoint.json"
    run "loader" "$PYTHON" benchmarks/loader.py --device "$DEVICE" --seconds 4 "${quick[@]}" --json "$OUT/loader.json"
}

main() {
    environment
    local part
    for part in "$@"; do
        "$part"
    done
    echo
    echo "$SECONDS s in all; $OUT"
    if ((${#failed[@]})); then
        printf 'FAILED: %s\n' "${failed[@]}"
        return 1
    fi
}

main "$@" 2>&1 | tee -a "$OUT/log.txt"
exit "${PIPESTATUS[0]}"
