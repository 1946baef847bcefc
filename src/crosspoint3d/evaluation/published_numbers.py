"""What others have published, to stand beside our numbers; the numbers themselves are in `published_numbers.yaml`."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.data.published.scanobjectnn import VARIANTS

DATASETS = ("modelnet10", "modelnet40", *(f"scanobjectnn:{variant}" for variant in VARIANTS))
"""Names of the data sets that numbers are published for."""


@dataclass(frozen=True)
class PublishedNumber:
    """One number of a paper or a repository.

    Attributes:
        encoder: row it belongs to, such as `DGCNN, STRL`.
        dataset: one of DATASETS; empty for a number that somebody gave for the row and column at hand.
        evaluation: the verb.
        score: our name of the score, with `*` for whatever it may contain.
        value: per cent, as printed.
        source: who says so.
        spread: what stands after ± there (mostly the standard deviation over episodes), per cent.
        note: what a reader should know.
        options: options of the evaluation that it holds for.
    """

    encoder: str
    dataset: str
    evaluation: str
    score: str
    value: float
    source: str
    spread: float | None
    note: str
    options: dict[str, Any]

    @property
    def text(self) -> str:
        """The number as it was printed, without a unit."""
        return _printed(self.value) + ("" if self.spread is None else f" ± {_printed(self.spread)}")

    def belongs(self, dataset: str | None, evaluation: str, config: EvaluateConfig, score: str) -> bool:
        """Whether it was measured on this data set, by this evaluation with these options, on all shapes.

        Args:
            dataset: one of DATASETS, or None where it is not known.
            evaluation: the verb.
            config: its options.
            score: name of the score.
        """
        return (
            dataset == self.dataset
            and evaluation == self.evaluation
            and fnmatchcase(score, self.score)
            and config.limit == 1
            and all(getattr(config, name) == value for name, value in self.options.items())
        )


def _printed(value: float) -> str:
    return f"{value:.1f}" if round(value, 1) == value else f"{value:.2f}"


@lru_cache(maxsize=1)
def published_numbers() -> tuple[PublishedNumber, ...]:
    """All numbers of the list, in its order."""
    text = resources.files("crosspoint3d.evaluation").joinpath("published_numbers.yaml").read_text(encoding="utf-8")
    return tuple(
        PublishedNumber(
            encoder=number["encoder"],
            dataset=group["dataset"],
            evaluation=group["evaluation"],
            score=group["score"],
            value=float(number["value"]),
            source=number["source"],
            spread=number.get("spread"),
            note=number.get("note", ""),
            options=group["options"],
        )
        for group in yaml.safe_load(text)
        for number in group["numbers"]
    )


def published_rows() -> list[str]:
    """The encoders that numbers are published of."""
    return list(dict.fromkeys(number.encoder for number in published_numbers()))


def dataset_of(spec: str) -> str | None:
    """Which data set of DATASETS a `--data` names; None where the text does not say.

    Args:
        spec: as given to an evaluation, such as `modelnet40:DIR` or `scanobjectnn:DIR:OBJ_ONLY`.
    """
    prefix, _, rest = spec.partition(":")
    if prefix == "scanobjectnn":
        variant = rest.rpartition(":")[2]
        return f"scanobjectnn:{variant if variant in VARIANTS else 'OBJ_BG'}"
    return prefix if prefix in DATASETS else None
