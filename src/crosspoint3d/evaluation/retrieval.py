"""`evaluate retrieval`: search in the test split, from shape to shape and between pictures and shapes."""

import time

from crosspoint3d.config import RetrievalConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.clouds import PicturedClouds, load_clouds
from crosspoint3d.evaluation.metrics import summaries
from crosspoint3d.evaluation.picture_retrieval import load_pictured, pictures_and_shapes
from crosspoint3d.evaluation.protocol import NOTHING_RANDOM, protocol_record
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import write_result
from crosspoint3d.evaluation.searched import Searched, together
from crosspoint3d.evaluation.seeds import check, limited
from crosspoint3d.evaluation.shape_retrieval import require_pairs, shape_to_shape

NOTHING_CHOSEN = "nothing is chosen in a search: the paper protocol is the clean one"


def retrieval(config: RetrievalConfig) -> Result:
    """Score how an encoder and its untrained twin find shapes, by shapes of their category and by their pictures.

    `search` says which: `shapes` needs categories only, and works for all data and encoders; `pictures` needs a table
    with pictures and an encoder with an image encoder beside it; `all` is both as far as they can be had, and a note
    says what cannot. Nothing is chosen, so clean and paper are the same.

    Raises:
        UsageError: what `search` asks for cannot be had from the data and the encoder.
    """
    started = time.monotonic()
    check(config)
    require_at_least(config, {"views": 1})
    pictured, with_shapes, notes = _possible(config)
    parts: list[Searched] = []
    if pictured is not None:
        parts.append(pictures_and_shapes(config, pictured))
    if with_shapes:
        parts.insert(0, shape_to_shape(config))
    found = together(parts[0], parts[1], "pictured_data") if len(parts) == 2 else parts[0]
    repeated = [NOTHING_RANDOM] if found.repeated else []
    result = Result(
        evaluation="retrieval",
        scores=summaries(found.trained),
        untrained=summaries(found.untrained),
        chance=found.chance,
        protocol=protocol_record(
            config,
            data=found.data,
            encoders=found.encoders,
            seconds=time.monotonic() - started,
            notes=[*repeated, *notes, *([NOTHING_CHOSEN] if config.protocol == "paper" else [])],
            **found.choices,
        ),
        details=found.details,
    )
    write_result(config, "retrieval", result)
    return result


def _possible(config: RetrievalConfig) -> tuple[PicturedClouds | None, bool, list[str]]:
    """The pictured shapes, if pictures are searched; whether shapes are; and notes about what is left out."""
    if config.search == "pictures":
        return load_pictured(config), False, []
    if config.search == "shapes":
        return None, True, []
    pictured, without = None, ""
    try:
        pictured = load_pictured(config)
    except UsageError as error:
        without = f"pictures were not searched: {error}"
    try:
        require_pairs(config.data, limited(load_clouds(config.data, seed=0), config.limit))
    except UsageError as error:
        if pictured is None:
            raise UsageError(f"{error}; {without}") from error
        return pictured, False, [f"shape to shape was not searched: {error}"]
    return pictured, True, [] if pictured is not None else [without]
