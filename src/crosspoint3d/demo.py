"""`crosspoint3d demo`: procedural shapes, prepare, pretrain, evaluate, report; every step is the verb of that name."""

import sys
import time
from dataclasses import dataclass

from crosspoint3d.config import (
    DemoConfig,
    FewShotConfig,
    LinearConfig,
    PrepareConfig,
    PretrainConfig,
    ReportConfig,
    RetrievalConfig,
    RunError,
    UsageError,
)
from crosspoint3d.data.prepare import prepare
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.retrieval import retrieval
from crosspoint3d.report import report
from crosspoint3d.training.pretrain import pretrain

POINTS, IMAGE_SIZE = 256, 64
# A small DGCNN (half the published widths, 256 points) and ResNet-18 at 64 pixels: minutes on two cores, not days.
NETWORK = {"width": 0.5, "emb_dims": 256, "k": 16, "image_encoder": "resnet18", "image_size": IMAGE_SIZE}
LEAST_HELD_OUT, QUERIES = 200, 10


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured and where its report lies."""

    retrieval: Result
    linear: Result
    few_shot: Result
    report: str
    seconds: float

    def __str__(self) -> str:
        recall = self.retrieval.scores["picture_to_shape_recall@1"]["mean"]
        chance = self.retrieval.chance["picture_to_shape_recall@1"]
        tables = "\n\n".join(str(result) for result in (self.retrieval, self.linear, self.few_shot))
        return (
            f"\n{tables}\n\npicture to shape recall@1 is {recall / chance:.0f} times chance "
            f"({recall:.1%} against {chance:.2%}). Done in {self.seconds:.0f} s.\nreport: {self.report}"
        )


def demo(config: DemoConfig) -> DemoResult:
    """Run the whole job on procedural shapes under `config.out`; a second run goes on where the first one stopped.

    Raises:
        UsageError: `shapes` leaves too few held-out shapes for honest numbers.
        RunError: shapes could not be prepared.
    """
    started = time.monotonic()
    if config.shapes < 5 * LEAST_HELD_OUT:
        raise UsageError(f"--shapes {config.shapes}: a fifth is held out and must be at least {LEAST_HELD_OUT} shapes")
    table, run = config.out / "table", config.out / "run"

    _say(f"1/4 prepare {config.shapes} procedural shapes")
    prepared = prepare(
        PrepareConfig(
            source=f"procedural:{config.shapes}",
            out=table,
            points=1024,
            image_size=IMAGE_SIZE,
            workers=config.workers,
            seed=config.seed,
        )
    )
    _say(str(prepared))
    if prepared.interrupted:
        raise KeyboardInterrupt
    if prepared.refused:
        raise RunError(f"{prepared.refused} procedural shapes were refused; this is a defect, please report it")

    _say("2/4 pretrain a small DGCNN and a ResNet-18")
    trained = pretrain(
        PretrainConfig(
            data=(table,),
            out=run,
            points=POINTS,
            max_steps=config.max_steps,
            device=config.device,
            seed=config.seed,
            resume=run.exists(),
            **NETWORK,  # type: ignore[arg-type]
        )
    )
    _say(str(trained))
    if trained.stopped:
        raise KeyboardInterrupt

    _say("3/4 evaluate against the untrained encoder")
    common = {"encoder": str(run), "data": str(table), "points": POINTS, "device": config.device, "seeds": 3}
    results = (
        retrieval(RetrievalConfig(**common)),  # type: ignore[arg-type]
        linear(LinearConfig(**common)),  # type: ignore[arg-type]
        few_shot(FewShotConfig(**common, n_query=QUERIES)),  # type: ignore[arg-type]
    )

    _say("4/4 report")
    page = report(ReportConfig(run=run, device=config.device, seed=config.seed))
    return DemoResult(*results, report=page.path, seconds=time.monotonic() - started)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
