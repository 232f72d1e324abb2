"""Sphinx's settings for the site, which ``docs/build.py`` builds once for each language."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import d2l_rmsprop
from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.marks import TABS

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the extensions formulas and languages

project = "d2l-rmsprop"
copyright = "2026, the d2l_rmsprop authors: code MIT, text CC BY-SA 4.0"
version = release = d2l_rmsprop.__version__
extensions = [
    "formulas",
    "languages",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 6
nitpicky = True  # a reference to a function that is not there is a warning, too
# IPython's magics are no Python
suppress_warnings = ["misc.highlighting_failure"]

# a docstring says what an argument is, and its shape; the framework's arrays are Any to Python
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
add_module_names = False  # a chapter calls them d2l.NAME
copybutton_selector = "div:not(.output) > div.highlight > pre"

html_theme = "furo"
html_theme_options = {"announcement": "languages"}  # what stands there: _templates/page.html
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
tabs = TABS | {name: name for name in BACKENDS}  # as an address may name them
html_js_files = [("site.js", {"data-tabs": json.dumps(tabs)})]
templates_path = ["_templates"]
locale_dirs = [str(HERE / "locale")]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False


class SectionIds(SphinxTransform):
    """Give the sections of a translation the ids of the English page."""

    default_priority = 300  # after docutils and MyST gave theirs, before links are resolved

    def apply(self, **kwargs: Any) -> None:
        env = self.document.settings.env
        ids = json.loads((Path(env.srcdir) / "section_ids.json").read_text())
        slugs = getattr(self.document, "myst_slugs", {})
        sections = [node for node in self.document.findall(nodes.section) if "slug" in node]
        for section, name in zip(sections, ids.get(env.docname, ()), strict=False):
            line, own, title = slugs[section["slug"]]
            section["ids"] = [name, *(i for i in section["ids"] if i not in (own, name))]
            section["slug"] = name
            self.document.ids[name] = section
            slugs[name] = (line, name, title)


class FilesOfPictures(SphinxTransform):
    """Sphinx looks for a picture's file by its address, in which a space is %20."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for picture in self.document.findall(nodes.image):
            picture["uri"] = unquote(picture["uri"])


def setup(app: Sphinx) -> None:
    app.add_transform(SectionIds)
    app.add_transform(FilesOfPictures)
