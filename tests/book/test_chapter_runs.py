"""Every chapter runs. `tox -e chapters` keeps the notebooks.

English runs on every framework. A translation has the same cells to the byte, which
``test_chapters`` holds, so it runs on NumPy alone.
"""

import os
from pathlib import Path

import nbformat
import pytest
from conftest import framework

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.notebook import build

CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").glob("??/*.md"))
PICTURES = {"rmsprop": 7, "closer-look": 4}
RUNS = [
    pytest.param(path, name, id=f"{path.parent.name}-{path.stem}-{name}")
    for path in CHAPTERS
    for name in (BACKENDS if path.parent.name == "en" else ["numpy"])
]


@pytest.mark.parametrize("chapter, name", RUNS)
def test_a_chapter_runs(chapter, name, tmp_path):
    framework(name)
    folder = Path(os.environ.get("CHAPTERS_OUT") or tmp_path) / chapter.parent.name
    target = folder / f"{chapter.stem}.{name}.ipynb"
    build(chapter, name, target, run=True, timeout=300)
    cells = [cell.get("outputs", []) for cell in nbformat.read(target, 4).cells]
    outputs = [output for cell in cells for output in cell]
    expected = ("stand-in", "compiling rmsprop")  # without the table; a slow compiler says so
    said = ["".join(o.text for o in cell if o.get("name") == "stderr") for cell in cells]
    assert [text for text in said if text and not any(e in text for e in expected)] == []
    lines = "".join(o.text for o in outputs if o.get("name") == "stdout").splitlines()
    assert lines and max(map(len, lines)) <= 72  # no line is broken, or cut, on a printed page
    pictures = [o for o in outputs if any(kind.startswith("image/") for kind in o.get("data", {}))]
    assert len(pictures) == PICTURES[chapter.stem]
    assert all("image/svg+xml" in picture.data for picture in pictures)  # sharp
