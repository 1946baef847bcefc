"""`report`: one HTML page about a run, of pre-training or of fine-tuning, that asks the network for nothing."""

from dataclasses import dataclass

from crosspoint3d.config import ReportConfig, UsageError
from crosspoint3d.report.finetuned_page import finetuned_page
from crosspoint3d.report.finetuned_run import finetuned_kind
from crosspoint3d.report.pretrained_page import pretrained_page
from crosspoint3d.runtime import atomic


@dataclass(frozen=True)
class ReportResult:
    """The page that was written.

    Attributes:
        path: the HTML file. size: its bytes. shapes: shapes on it.
        missing: what the page could not show, with the command that would fill it.
    """

    path: str
    size: int
    shapes: int
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"report: {self.path} ({self.size / 1e6:.1f} MB, {self.shapes} shapes)"]
        return "\n".join(lines + [f"  not in it: {words}" for words in self.missing])


def report(config: ReportConfig) -> ReportResult:
    """Write one self-contained HTML page about a run of `pretrain` or `finetune`.

    Of a pre-training only the encoder is required; a section whose material is missing says which command makes it. The
    same run, tables and seed give the same bytes on one machine.

    Raises:
        UsageError: the folder is no run, or `shapes` is below 1.
    """
    if config.shapes < 1:
        raise UsageError(f"--shapes {config.shapes}: must be at least 1")
    kind = finetuned_kind(config.run)
    page = finetuned_page(config.run, kind) if kind else pretrained_page(config)
    out = config.out or config.run / "report.html"
    with atomic(out) as path:
        path.write_text(page.html, encoding="utf-8")
    return ReportResult(str(out), out.stat().st_size, page.shapes, tuple(dict.fromkeys(page.missing)))
