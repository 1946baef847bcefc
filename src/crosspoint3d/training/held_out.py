"""The first honest number of a run: how well pictures find their shapes among shapes that training never saw."""

import sys

from crosspoint3d.config import PretrainConfig, RetrievalConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.retrieval import retrieval

MOST_SHAPES = 300
MOST_TEST_SHAPES, MOST_ROWS = 50_000, 5_000_000
"""Of a table that is measured: an evaluation reads all test shapes and all categories into memory."""


def held_out_retrieval(config: PretrainConfig, tables: list[ShapeTable]) -> dict[str, float] | None:
    """Picture-to-shape recall@1 of a finished run on the first table with a test split: about 300 shapes, one seed.

    Nothing is chosen by it. The whole result, with its record and the untrained twin, lies in RUN/evaluation/retrieval,
    until `evaluate retrieval` replaces it. None when no table has test shapes, or the image encoder was not trained.
    A test split that cannot be used is a message; the finished run stays finished.
    """
    if config.cross_weight == 0:
        return None
    sizes = ((len(table.index("test")), table) for table in tables)
    count, table = next(((count, table) for count, table in sizes if count >= 2), (0, None))
    if table is None:
        return None
    if count > MOST_TEST_SHAPES or len(table) > MOST_ROWS:
        sys.stderr.write(
            f"held-out shapes were not measured: {table.path} has {count:,} test shapes in {len(table):,} rows, and an "
            "evaluation reads them all into memory; where there is room for them, `crosspoint3d evaluate retrieval "
            f"--encoder {config.out} --data {table.path}` does\n"
        )
        return None
    settings = RetrievalConfig(
        encoder=str(config.out),
        data=table.path,
        out=config.out / "evaluation" / "retrieval",
        search="pictures",
        seeds=1,
        points=config.points,
        limit=min(1.0, MOST_SHAPES / count),
        device=config.device,
    )
    try:
        result = retrieval(settings)
    except UsageError as error:
        sys.stderr.write(f"held-out shapes were not measured: {error}\n")
        return None
    name = "picture_to_shape_recall@1"
    shapes = round(1 / result.chance[name])
    return {"recall@1": result.scores[name]["mean"], "chance": result.chance[name], "shapes": shapes}
