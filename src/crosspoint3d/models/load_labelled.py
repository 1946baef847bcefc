"""Fine-tuned networks by one short text: a run folder of finetune, a network's own folder, or published weights."""

import warnings
from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.models.classifier import Classifier, read_classifier
from crosspoint3d.models.folder import CONFIG, read_config, unfinished
from crosspoint3d.models.load import is_published, settle_k
from crosspoint3d.models.published import load_published_classifier, load_published_segmenter
from crosspoint3d.models.segmenter import Segmenter, read_segmenter

VERBS = {"segmenter": "segment", "classifier": "classify"}


def _folder(spec: str | Path, kind: str) -> Path:
    """The folder of a network of this kind.

    Raises:
        UsageError: there is none, or it holds something else.
    """
    path, verb = Path(spec), VERBS[kind]
    train = f"train one with crosspoint3d finetune {verb} --encoder ENCODER --data DATA --out RUN"
    if not path.is_dir():
        raise UsageError(
            f"{kind} {path}: no such folder; use a run folder of finetune {verb}, the folder of a {kind}, or published "
            "weights (.pth, .pt, .ckpt, .t7, .safetensors)"
        )
    if (path / kind).is_dir():
        return path / kind
    for other, name in VERBS.items():
        if other != kind and (path / other).is_dir():
            raise UsageError(f"{kind} {path}: this run is of finetune {name}; {train}")
    if (path / "encoder").is_dir():
        raise UsageError(f"{kind} {path}: this run holds an encoder, but no {kind}; {train}")
    if not (path / CONFIG).is_file():
        raise UsageError(f"{kind} {path}: neither {kind}/ nor {CONFIG} is in this folder; {unfinished(path) or train}")
    found = read_config(path).get("kind")
    if found != kind:
        what = f"a {found}" if found in VERBS else f"an encoder ({found})"
        raise UsageError(f"{kind} {path}: the folder holds {what}, no {kind}; {train}")
    return path


def load_segmenter(spec: str | Path, k: int | None = None) -> Segmenter:
    """A part segmentation network in eval mode on the CPU.

    `load_segmenter(spec)(points (B, N, 3), category (B,)) -> logits (B, N, Q)`; `.table` names the parts.

    Args:
        spec: a run folder of `finetune segment`, the folder of a segmenter, or a file of published weights of DGCNN's
            part segmentation network with its layers `conv7` to `conv11`.
        k: neighbours in the graphs instead of the recorded number. Published weights record none: without `k`, 40 is
            taken, with a warning. Nor do they name parts: with 16 categories and 50 parts they are ShapeNetPart's, else
            numbered, with a warning.

    Raises:
        UsageError: the spec names nothing that can be loaded, or `k` does not apply.
    """
    if not is_published(spec):
        segmenter = read_segmenter(_folder(spec, "segmenter"))
    else:
        segmenter = load_published_segmenter(Path(spec))
        if not all(segmenter.table.parts):
            warnings.warn(
                f"{Path(spec).name}: published weights do not name their {len(segmenter.table)} parts of "
                f"{len(segmenter.table.categories)} categories, nor say which belong together: all are given to the "
                "first category; set .table to say otherwise",
                stacklevel=2,
            )
    settle_k(segmenter, k)
    return segmenter


def load_classifier(spec: str | Path, k: int | None = None) -> Classifier:
    """A classification network in eval mode on the CPU: `load_classifier(spec)(points (B, N, 3)) -> logits (B, C)`.

    Args:
        spec: a run folder of `finetune classify`, the folder of a classifier, or a file of published weights of DGCNN's
            classification network with its layers `linear1` to `linear3`.
        k: neighbours in the graphs instead of the recorded number. Published weights record none: without `k`, 20 (15
            with CrossPoint's head) is taken, with a warning.

    Raises:
        UsageError: the spec names nothing that can be loaded, or `k` does not apply.
    """
    classifier = (
        load_published_classifier(Path(spec)) if is_published(spec) else read_classifier(_folder(spec, "classifier"))
    )
    settle_k(classifier, k)
    return classifier
