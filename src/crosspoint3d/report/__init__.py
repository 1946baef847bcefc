"""`report`: one self-contained HTML page about a run.

`write` picks the page: `pretrained_page` or `finetuned_page`; `render` fills its template in `templates/`. `rows`,
`scores`, `record` and `evaluations` word and plot the numbers of both.

Pre-training: `run` reads the folder, `shapes` the shapes to show, `pictures` and `examples` draw them, `embedding` lays
out the map, `neighbours` searches, `sections` puts both together.

Fine-tuning: `finetuned_run` reads the folder, `finetuned_scores`, `category_bars` and `seed_figures` show the numbers,
`part_examples` and `class_examples` draw shapes.
"""

from crosspoint3d.report.write import ReportResult, report

__all__ = ["ReportResult", "report"]
