"""The parts of the page that show shapes: the map and the searches, from features that were computed once.

Axis letters: N shapes, D feature width, E width of the joint space.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from crosspoint3d.plots import GREY, category_styles, map_figure
from crosspoint3d.report.embedding import embedding_map, neighbour_agreement
from crosspoint3d.report.neighbours import search_pictures
from crosspoint3d.report.pictures import cloud_picture, contact_sheet, thumbnail
from crosspoint3d.report.rows import percent
from crosspoint3d.report.shapes import ShownShapes

SHEET_TILE = 72
STRIP_TILE = 144
STRIPS = 8


@dataclass(frozen=True)
class Missing:
    """Why a section is empty, and the command that fills it (or nothing)."""

    reason: str
    command: str = ""


@dataclass(frozen=True)
class LegendEntry:
    """A category on the map."""

    name: str
    color: str
    symbol: str
    count: int


@dataclass(frozen=True)
class MapSection:
    """The map: a plotly figure, the words around it, and what a pointer on a shape shows."""

    figure: Any
    method: str
    agreement: str
    legend: list[LegendEntry]
    sheet: str
    columns: int
    tile: int
    names: list[list[str]]


@dataclass(frozen=True)
class Found:
    """A shape in a search result: picture, words, cosine, and whether it is the one searched for."""

    uri: str
    name: str
    category: str
    similarity: str
    right: bool


@dataclass(frozen=True)
class Strip:
    """A query picture, the nearest shapes, and the right one behind them when it is not among them."""

    query: Found
    found: list[Found]
    right: Found | None
    rank: str


@dataclass(frozen=True)
class SearchSection:
    """Searches for some pictures, and what they say together."""

    strips: list[Strip]
    recall: str
    chance: str
    gallery: int


def map_section(shapes: ShownShapes, features: Float32[np.ndarray, "N D"], seed: int) -> MapSection | Missing:
    """The embedding map of the shapes, or why there is none."""
    try:
        coordinates, method = embedding_map(features, seed)
    except ValueError as error:
        return Missing(str(error))
    pictures = [
        views[0] if views else cloud_picture(points, pose, SHEET_TILE)
        for views, points, pose in zip(shapes.views, shapes.points, shapes.poses, strict=True)
    ]
    sheet, columns = contact_sheet(pictures, SHEET_TILE)
    return MapSection(
        figure=map_figure(coordinates, shapes.categories),
        method=method,
        agreement=_agreement(features, shapes),
        legend=_legend(shapes),
        sheet=sheet,
        columns=columns,
        tile=SHEET_TILE,
        names=[[name, category or ""] for name, category in zip(shapes.ids, shapes.categories, strict=True)],
    )


def search_section(
    shapes: ShownShapes,
    clouds: Float32[np.ndarray, "N E"],
    pictures: Float32[np.ndarray, "N E"],
    generator: np.random.Generator,
) -> SearchSection | Missing:
    """Nearest shapes of some random first pictures; shapes are shown by their last one, which repeats no query."""
    if len(clouds) < 2:
        return Missing(f"{len(clouds)} shape to search among: a search needs two or more")
    searches, recall = search_pictures(clouds, pictures, shapes.categories, STRIPS, generator)
    strips = []
    for search in searches:
        own = search.query

        def found(row: int, similarity: float, own: int = own) -> Found:
            return Found(
                uri=thumbnail(shapes.views[row][-1], STRIP_TILE),
                name=shapes.ids[row],
                category=shapes.categories[row] or "",
                similarity=f"{similarity:.2f}",
                right=row == own,
            )

        query = thumbnail(shapes.views[own][0], STRIP_TILE)
        nearest = [found(row, value) for row, value in zip(search.found, search.similarity[:-1], strict=True)]
        strips.append(
            Strip(
                query=Found(query, shapes.ids[own], shapes.categories[own] or "", "", False),
                found=nearest,
                right=None if own in search.found else found(own, search.similarity[-1]),
                rank=f"{search.rank:g}",
            )
        )
    return SearchSection(strips, percent(recall), percent(1 / len(clouds)), len(clouds))


def _agreement(features: np.ndarray, shapes: ShownShapes) -> str:
    agreement = neighbour_agreement(features, shapes.categories)
    if agreement is None:
        return ""
    share, chance, count = agreement
    return (
        f"{percent(share)} of the {count} shapes with a category have a nearest neighbour of their own one "
        f"(by cosine of the whole features; shuffled categories: {percent(chance)})."
    )


def _legend(shapes: ShownShapes) -> list[LegendEntry]:
    styles = category_styles(shapes.categories)
    counts = Counter(category for category in shapes.categories if category)
    legend = [LegendEntry(name, style.color, style.symbol, counts[name]) for name, style in styles.items()]
    rest = [name for name in counts if name not in styles]
    if rest:
        words = f"{len(rest)} more categories" if len(rest) > 1 else rest[0]
        legend.append(LegendEntry(words, GREY, "circle", sum(counts[name] for name in rest)))
    unlabelled = len(shapes.categories) - sum(counts.values())
    if unlabelled and counts:
        legend.append(LegendEntry("no category", GREY, "circle", unlabelled))
    return legend
