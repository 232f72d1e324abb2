"""Every chapter runs on every installed framework. `tox -e chapters` keeps the notebooks."""

import os
from pathlib import Path

import nbformat
import pytest
from conftest import framework

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.notebook import backends_of, build

CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").glob("*/*.md"))


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_chapter_runs(chapter, name, tmp_path):
    framework(name)
    if name not in backends_of(chapter.read_text("utf-8")):
        pytest.skip(f"the chapter has no code for {name}")
    folder = Path(os.environ.get("CHAPTERS_OUT") or tmp_path) / chapter.parent.name
    target = folder / f"{chapter.stem}.{name}.ipynb"
    build(chapter, name, target, run=True, timeout=300)
    outputs = [o for cell in nbformat.read(target, 4).cells for o in cell.get("outputs", [])]
    warnings = [o.text for o in outputs if o.get("name") == "stderr"]
    assert [text for text in warnings if "stand-in" not in text] == []
    pictures = [o for o in outputs if any(kind.startswith("image/") for kind in o.get("data", {}))]
    assert len(pictures) >= 10  # one for each section
