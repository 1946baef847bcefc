"""Templates filled in: a page that holds everything it needs, and data in it that stay data."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from crosspoint3d import __version__
from crosspoint3d.report.sections import Missing


@dataclass(frozen=True)
class Page:
    """A page, how many shapes it shows, and what it could not show, in words or as the command that makes it."""

    html: str
    shapes: int
    missing: list[str]


def render(template: str, **context: Any) -> str:
    """One of the pages in `templates/` with everything that it names, plotly included; text is escaped."""
    return (
        _environment().get_template(template).render(plotly_js=Markup(get_plotlyjs()), version=__version__, **context)
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crosspoint3d.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["script_json"] = _script_json
    environment.tests["missing"] = lambda part: isinstance(part, Missing)
    return environment


def _script_json(value: Any) -> Markup:
    """A figure, figures by name, or plain values as JSON that cannot close the script element it stands in."""
    text = json.dumps(value, default=lambda figure: json.loads(figure.to_json()), separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
