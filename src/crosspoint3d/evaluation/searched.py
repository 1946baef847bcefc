"""What one kind of search found over all seeds, and two kinds put together."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Searched:
    """One kind of search, seed by seed, as a result needs it.

    Attributes:
        trained, untrained: scores of each seed; `untrained` is empty where there is no twin.
        chance: what a random order scores.
        encoders: the record of each seed's encoders.
        data: the data's own record.
        repeated: the trained encoder was scored once, because no seed could change its scores.
        choices: for the protocol record.
        details: for `Result.details`.
    """

    trained: list[dict[str, float]]
    untrained: list[dict[str, float]]
    chance: dict[str, float]
    encoders: list[dict[str, Any]]
    data: dict[str, Any]
    repeated: bool
    choices: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)


def together(first: Searched, second: Searched, name: str) -> Searched:
    """Both as one; what both have is the first's; the second's data and hashes of its clouds are recorded as `name`."""
    notes = [*first.data["notes"], *(note for note in second.data["notes"] if note not in first.data["notes"])]
    theirs = {key: value for key, value in second.data.items() if key != "notes"}
    theirs["clouds_sha256"] = [entry["clouds_sha256"] for entry in second.encoders]
    return Searched(
        trained=[a | b for a, b in zip(first.trained, second.trained, strict=True)],
        untrained=[a | b for a, b in zip(first.untrained, second.untrained, strict=True)],
        chance=first.chance | second.chance,
        encoders=[_both(a, b) for a, b in zip(first.encoders, second.encoders, strict=True)],
        data=first.data | {"notes": notes},
        repeated=first.repeated and second.repeated,
        choices=first.choices | second.choices | {name: theirs},
        details=first.details | second.details,
    )


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """One seed's record of its encoders: times add up, and all came from the cache if both did."""
    entry = second | first
    for who in ("trained", "untrained"):
        a, b = first[who], second[who]
        if a is not None and b is not None:
            cached, seconds = a["from_cache"] and b["from_cache"], round(a["seconds"] + b["seconds"], 3)
            entry[who] = b | a | {"from_cache": cached, "seconds": seconds}
    return entry
