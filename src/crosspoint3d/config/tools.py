"""Options of `convert`, `download`, `inspect`, `report` and `demo`."""

from dataclasses import dataclass, field
from pathlib import Path

from crosspoint3d.config.common import Device


@dataclass(frozen=True)
class ConvertConfig:
    """Turn published weights (CrossPoint, STRL, DGCNN) into an encoder folder."""

    weights: Path = field(metadata={"positional": True})
    """A .pth, .pt, .ckpt, .t7 or .safetensors file with the published names; nothing in it is unpickled."""
    out: Path = field(metadata={"positional": True})
    """Encoder folder to create."""
    k: int | None = None
    """Neighbours in DGCNN's graphs, which the file does not record; by default as usual for the network."""


@dataclass(frozen=True)
class DownloadConfig:
    """Fetch a published data set from its authors' address or a mirror, once its terms are accepted."""

    name: str = field(default="", metadata={"positional": True})
    """Data set; without a name the known ones are listed."""
    out: Path = Path("data")
    """Folder to create DATA SET/ in."""
    accept_terms: bool = False
    """Accept the terms that are shown; otherwise they are asked for, on a terminal."""
    sha256: str = ""
    """Expected SHA-256 of the file; goes before the one in the list."""
    keep_archive: bool = False
    """Keep the archive after it was unpacked."""
    catalogue: Path | None = None
    """YAML file with further data sets or a laboratory's own mirrors, laid over the built-in list."""


@dataclass(frozen=True)
class InspectConfig:
    """Say what a table holds, whether all of it can be read, and show some of its shapes."""

    table: Path = field(metadata={"positional": True})
    """Table made by prepare."""
    out: Path | None = None
    """Folder for contact_sheet.png and inspect.json."""
    shapes: int = 48
    """Shapes on the contact sheet, as many of each category as there are."""
    check: bool = False
    """Read every point and decode every picture, not only those of the first and last shape of each data file."""
    json: bool = False
    """Print JSON."""
    seed: int = 0
    """Decides which shapes are shown."""


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page about a run."""

    run: Path = field(metadata={"positional": True})
    """Run folder."""
    out: Path | None = None
    """HTML file; by default RUN/report.html."""
    shapes: int = 400
    """Shapes on the embedding map."""
    device: Device = "auto"
    """Where to compute features."""
    seed: int = 0
    """Decides which shapes are shown, and the map."""


@dataclass(frozen=True)
class DemoConfig:
    """Procedural shapes, prepare, pretrain, evaluate, report: the whole job in about five minutes on two cores."""

    out: Path = Path("demo-run")
    """Folder for the table, the run and the report."""
    shapes: int = 1200
    """Procedural shapes; a fifth is held out."""
    max_steps: int = 250
    """Training steps."""
    workers: int = 0
    """Processes that prepare shapes; 0 means one a core."""
    device: Device = "auto"
    """Where to train."""
    seed: int = 0
    """Decides everything."""
