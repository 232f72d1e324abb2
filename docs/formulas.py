"""A Sphinx extension: KaTeX sets the formulas while the site is built, so that readers need no
JavaScript and no other server.
"""

import re
import unicodedata
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import sphinxcontrib.katex as katex
from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
engine = MiniRacer()
engine.eval(Path(katex.SRC_DIR, "katex.min.js").read_text(encoding="utf-8"))


@cache
def set_formula(latex: str, display: bool) -> str:
    """Return the formula's HTML, with MathML for screen readers.

    Raises JSEvalException if KaTeX cannot read it.
    """
    html = engine.call("katex.renderToString", latex, {"displayMode": display})
    return html.replace('<span class="base">', '<wbr><span class="base">')  # see .formula


def render(latex: str, options: dict[str, Any] | None = None) -> str:
    return set_formula(latex, bool(options and options["displayMode"]))


class Formulas(SphinxTransform):
    """Try each formula, let its text be what it shows, and keep a full stop or comma beside it."""

    default_priority = 400  # before titles are collected

    def apply(self, **kwargs: Any) -> None:
        for node in [*self.document.findall(nodes.math), *self.document.findall(nodes.math_block)]:
            latex = node.astext()
            try:
                html = set_formula(latex, isinstance(node, nodes.math_block))
            except JSEvalException as error:
                reason = str(error).splitlines()[0].partition("KaTeX parse error: ")[2]
                logger.warning("KaTeX cannot read a formula: %s", reason, location=node)
                node.replace_self(nodes.literal(latex, latex))
                continue
            node["latex"] = latex  # what sphinxcontrib.katex sets
            node[:] = [nodes.Text(unescape(re.sub("<.*?>", "", drawn(html))))]
            after = node.next_node(descend=False, siblings=True)
            if isinstance(after, nodes.Text) and unicodedata.category(after[0]) in ("Po", "Pe"):
                together = nodes.inline(classes=["formula"])
                node.parent.replace(after, nodes.Text(after[1:]))
                node.replace_self(together)
                together += [node, nodes.Text(after[0])]


def drawn(html: str) -> str:
    """Return a text without MathML, which says each formula again."""
    return re.sub(r'<span class="katex-mathml">.*?</math></span>', "", html, flags=re.S)


def shorten_title(app: Sphinx, page: str, template: str, context: dict[str, Any], *_: Any) -> None:
    context["title"] = drawn(context.get("title", ""))  # of the browser's tab


def setup(app: Sphinx) -> dict[str, bool]:
    katex.render_latex = render  # its own asks a server on Node.js
    app.setup_extension("sphinxcontrib.katex")
    app.add_transform(Formulas)
    app.connect("html-page-context", shorten_title)
    app.config.katex_prerender = True
    app.config.katex_css_path = "katex/katex.min.css"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
