"""`index.html`: the pictures of all labelled shapes on one page, to look through."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from crosspoint3d.labelling.row_file import read_rows
from crosspoint3d.runtime import atomic

MOST = 1000
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #1c2733; margin: 24px; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(360px, 1fr)); gap: 16px; }
figure { margin: 0; border: 1px solid #e6e9ee; border-radius: 8px; padding: 8px; }
img { width: 100%; }
figcaption { color: #667383; overflow-wrap: anywhere; }
"""


def write_sheet(out: Path, rows: Path) -> None:
    """Write a page of the first 1,000 shapes of a CSV; pictures load as one scrolls to them.

    Args:
        out: folder of the labels; the page's pictures are ID.png in it.
        rows: shapes.csv.

    Raises:
        OSError: the page cannot be written.
    """
    figures, count = [], 0
    for row in read_rows(rows):
        count += 1
        if count > MOST:
            continue
        link = quote(row["id"])
        words = escape(row["id"]) + (" · category by best fit" if row["category_from"] == "fit" else "")
        figures.append(
            f'<figure><a href="{link}.png"><img src="{link}.png" loading="lazy" alt="{escape(row["id"])}"></a>'
            f'<figcaption>{words} · <a href="{link}.ply">ply</a> · <a href="{link}.npz">npz</a></figcaption></figure>'
        )
    shown = "" if count <= MOST else f", the first {MOST:,} shown"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Parts</title><style>{STYLE}</style>'
        f"<h1>{count:,} labelled shape{'s' * (count != 1)}{shown}</h1><main>{''.join(figures)}</main></html>\n"
    )
    with atomic(out / "index.html") as path:
        path.write_text(page, encoding="utf-8")
