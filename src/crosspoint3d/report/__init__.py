"""`report`: one self-contained HTML page about a run.

`run` reads the run folder, `shapes` the shapes to show, `pictures` and `examples` draw them, `embedding` lays out the
map, `neighbours` searches, `rows`, `scores` and `record` word the numbers, `evaluations` adds their plots, `write` puts
`page.html` together.
"""

from crosspoint3d.report.write import ReportResult, report

__all__ = ["ReportResult", "report"]
