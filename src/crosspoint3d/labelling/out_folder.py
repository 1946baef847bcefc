"""The folder of labels: refused when in use, gone on with by --resume."""

from crosspoint3d.config import UsageError, UseConfig
from crosspoint3d.config_file import load_yaml, save_yaml, to_dict
from crosspoint3d.labelling.places import Place, Places
from crosspoint3d.runtime import atomic

CONFIG, FAILED = "config.yaml", "failed.csv"
DECIDES_NOTHING = ("shapes", "out", "batch_size", "device", "resume", "pictures")
"""Options that may differ between a run and the one that goes on with it."""


def check_folder(config: UseConfig) -> None:
    """Refuse an --out that is in use, or with --resume one that was made with other options.

    Raises:
        UsageError: says which, and what to do.
    """
    out = config.out
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not config.resume):
        raise UsageError(f"--out {out} is in use: give another folder, or go on with it by --resume")
    if not (out.is_dir() and any(out.iterdir())):
        return
    if not (out / CONFIG).is_file():
        raise UsageError(f"--resume: {out} holds no {CONFIG} of an earlier run; give another --out")
    before, now = load_yaml(out / CONFIG, type(config)), to_dict(config)
    differ = [
        f"{name} {before[name]!r}, now {value!r}"
        for name, value in now.items()
        if name not in DECIDES_NOTHING and before.get(name, value) != value
    ]
    if differ:
        raise UsageError(f"--resume: {out} was made with {'; '.join(differ)}; use the same, or another --out")


def start_folder(config: UseConfig) -> None:
    """Create the folder and note the options in it."""
    with atomic(config.out / CONFIG) as path:
        save_yaml(config, path)


def missing(places: Places, kept: dict[str, str]) -> list[Place]:
    """The shapes that an earlier run did not label (id -> source of those that it did).

    Raises:
        UsageError: a label belongs to another shape of the same id.
    """
    for place in places.shapes:
        if kept.get(place.id, place.candidate.source) != place.candidate.source:
            raise UsageError(
                f"--resume: the label of {place.id} is that of {kept[place.id]}, not of {place.candidate.source}; "
                "name the same shapes in the same order, or give another --out"
            )
    return [place for place in places.shapes if place.id not in kept]
