"""Which of a network's categories a shape belongs to: by name, or the one whose parts fit best.

Axis letters: B clouds, P points, C categories, Q parts of all categories.
"""

import difflib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.models import Segmenter

FIT_POINTS = 512


def match_category(name: str | None, categories: Sequence[str]) -> int | None:
    """The category of a name: equal, or else equal but for case, blanks and punctuation; None where there is none."""
    if name is None:
        return None
    if name in categories:
        return list(categories).index(name)
    plain = [_plain(category) for category in categories]
    wanted = _plain(name)
    return plain.index(wanted) if wanted and wanted in plain else None


def require_category(name: str, categories: Sequence[str]) -> int:
    """As `match_category`.

    Raises:
        UsageError: the network does not know the name; lists those it knows and the nearest one.
    """
    found = match_category(name, categories)
    if found is None:
        near = difflib.get_close_matches(_plain(name), [_plain(category) for category in categories], 1)
        meant = [category for category in categories if near and _plain(category) == near[0]]
        hint = f"did you mean {meant[0]!r}? " if meant else ""
        raise UsageError(f"--category {name!r}: {hint}The model knows {', '.join(categories)}")
    return found


def best_fit(
    segmenter: Segmenter, clouds: Float32[np.ndarray, "B P 3"], device: torch.device
) -> tuple[Int64[np.ndarray, " B"], Float32[np.ndarray, "B C"]]:
    """The category whose parts the network answers with most confidence.

    Each cloud is labelled as every category in turn, with the softmax over all Q parts. The score of a category is the
    mean over points of the largest probability among its own parts. The encoder runs once, and 512 points are asked.

    Args:
        segmenter: on `device`, in eval mode.
        clouds: normalised clouds, points in random order.
        device: where to compute.

    Returns:
        The best category of each cloud, and the scores of all.
    """
    table = segmenter.table
    scores = np.empty((len(clouds), len(table.categories)), np.float32)
    with torch.inference_mode():
        points = torch.from_numpy(clouds).to(device)
        per_point, cloud = segmenter.encoder.local(points)
        asked = per_point[:, :FIT_POINTS]
        for number, own in enumerate(table.parts):
            category = torch.full((len(clouds),), number, dtype=torch.int64, device=device)
            probabilities = segmenter.head(asked, cloud, category).float().softmax(dim=2)
            scores[:, number] = probabilities[:, :, list(own)].amax(dim=2).mean(dim=1).cpu().numpy()
    return scores.argmax(axis=1), scores


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
