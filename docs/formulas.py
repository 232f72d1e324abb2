"""A Sphinx extension: KaTeX sets the formulas while the site is built, so that readers need no
JavaScript and no other server.
"""

import unicodedata
from pathlib import Path
from typing import Any

import sphinxcontrib.katex as katex
from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform

engine = MiniRacer()
engine.eval(Path(katex.SRC_DIR, "katex.min.js").read_text(encoding="utf-8"))


def render(latex: str, options: dict[str, Any] | None = None) -> str:
    """The formula's HTML, with MathML for screen readers.

    Raises ExtensionError if KaTeX cannot read it.
    """
    try:
        return engine.call("katex.renderToString", latex, options or {})
    except JSEvalException as error:
        reason = str(error).splitlines()[0].partition("KaTeX parse error: ")[2]
        raise ExtensionError(f"KaTeX cannot read the formula {latex!r}: {reason}") from None


class Closing(SphinxPostTransform):
    """Keep a full stop or comma on the line of the formula before it."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        for formula in self.document.findall(nodes.math):
            after = formula.next_node(descend=False, siblings=True)
            if isinstance(after, nodes.Text) and unicodedata.category(after[0]) in ("Po", "Pe"):
                after.parent.replace(after, nodes.Text(f"\N{WORD JOINER}{after}"))


def setup(app: Sphinx) -> dict[str, bool]:
    katex.render_latex = render  # its own asks a server on Node.js
    app.setup_extension("sphinxcontrib.katex")
    app.add_post_transform(Closing)
    app.config.katex_prerender = True
    app.config.katex_css_path = "katex/katex.min.css"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
