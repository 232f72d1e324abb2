"""How the editions of the book mark frameworks: which code each gets, and the prose around it."""

import ast
import json
import warnings

import pytest
from conftest import SHARED

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.branches import resolve
from d2l_rmsprop.book.notebook import ChapterError, backends_of, convert
from d2l_rmsprop.book.source import ChapterWarning

SAMPLES = SHARED / "editions"


def cell(code, info="{.python .input}"):
    return f"```{info}\n{code}\n```\n\n"


def code(text, backend):
    cells = convert(text, backend, compat=False).notebook.cells
    return [c.source for c in cells if c.cell_type == "code"]


def prose(text, backend="torch"):
    cells = convert(text, backend, compat=False).notebook.cells
    return "\n\n".join(c.source for c in cells if c.cell_type == "markdown")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the samples in ../shared/editions")
def test_every_sample_gives_the_cells_that_it_should():
    expected = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
    found = {
        name: {b: code((SAMPLES / name).read_text("utf-8"), b) for b in backends}
        for name, backends in expected.items()
    }
    assert found == expected


DECLARE = cell("%load_ext d2lbook.tab\ntab.interact_select('mxnet', 'jax')")
LIST = cell('# required_libs("x")\n%load_ext d2lbook.tab\ntab.interact_select(["jax"])')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cell("%%tab jax\n1") + cell("%%tab all\n2") + cell("3"), {"jax": ["1", "2", "3"]}),
        (cell("# %%tab jax, mxnet\n1") + cell("3"), {"jax": ["1", "3"], "mxnet": ["1", "3"]}),
        (cell("%%Tab JAX\n1"), {"jax": ["1"]}),
        (cell("#@tab jax\n1") + cell("3"), {"jax": ["1"], "mxnet": ["3"]}),
        (cell("#@tab jax\n1") + cell("%%tab jax\n2") + cell("3"), {"jax": ["1", "2", "3"]}),
        (DECLARE + cell("1"), {"jax": ["1"], "mxnet": ["1"]}),
        (LIST + cell("1"), {"jax": ["1"]}),
        (
            DECLARE + cell("%%tab pytorch\n1") + cell("2"),
            {"jax": ["2"], "mxnet": ["2"], "torch": ["1", "2"]},
        ),
        (cell("a\n#@tab jax\nb\n#@tab mxnet\nc"), {"jax": ["a\nb"], "mxnet": ["c"]}),
        (cell("#@tab pytroch\n1") + cell("#@tab all\n2"), {name: ["2"] for name in BACKENDS}),
        (cell("#@tab mindspore\n1") + cell("#@tab jax, mindspore\n2"), {"jax": ["2"]}),
        (cell("1", "{.input}") + cell("import torch"), {"torch": ["1", "import torch"]}),
        (cell("import d2lzh as d2l"), {"mxnet": ["import d2lzh as d2l"]}),
        (cell("from torch import utils"), {"torch": ["from torch import utils"]}),
        (
            ":begin_tab:`jax`\n" + cell("1") + ":end_tab:\n" + cell("#@tab all\n2"),
            {"jax": ["1", "2"]},
        ),
        # in a file without a cell, plain fences are the cells
        (cell("import torch", "python") + cell("2", " python"), {"torch": ["import torch", "2"]}),
        (cell("import torch", "python") + cell("out", ""), {"torch": ["import torch"]}),
        (cell("no", "python") + cell("import jax"), {"jax": ["import jax"]}),
        # nothing of a part for slides, of a comment, or of HTML that swallows what follows
        (cell("%%tab jax\n1") + "<!-- slides -->\n\n" + cell("%%tab jax\n2"), {"jax": ["1"]}),
        ("<center>a</center>\n" + cell("#@tab jax\n1"), {"jax": ["1"]}),
        ("<!-- never closed\n\n" + cell("#@tab jax\n1"), {"jax": ["1"]}),
        # loose marks
        (":begin_tab: `jax`\n" + cell("1") + ": end_tab:\n", {"jax": ["1"]}),
        (":begin_tab:`jax`\na\n\n" + cell("%%tab mxnet\n1"), {"mxnet": ["1"]}),
        (
            ":begin_tab:`jax`\na\n:begin_tab:`mxnet` b :end_tab:\n\n" + cell("import jax"),
            {"jax": ["import jax"]},
        ),
    ],
)
def test_a_framework_gets_its_cells_and_no_other_has_code(text, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChapterWarning)
        assert {name: code(text, name) for name in backends_of(text)} == expected


def test_a_chapter_for_others_alone_is_refused_with_their_names():
    with pytest.raises(ChapterError, match="no code for torch, only for mindspore"):
        convert(cell("#@tab mindspore\n1"), "torch")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (cell("#@tab pytroch\n1"), 2, "unknown tab 'pytroch'; did you mean pytorch"),
        (":begin_tab:`jaxx`\na\n:end_tab:", 1, "did you mean jax"),
        ("a\n\n:begin_tab:`jax`\nb", 3, "never closed"),
    ],
)
def test_a_slip_is_one_warning_with_its_line_and_a_sentence_where_warnings_are_errors(
    text, line, words
):
    text += "\n\n" + cell("#@tab all\n1")
    with pytest.warns(ChapterWarning, match=words) as found:
        backend = backends_of(text)[0]
        convert(text, backend, file="notes.md")
    assert [(w.filename, w.lineno) for w in found] == [("notes.md", line)]
    with warnings.catch_warnings(), pytest.raises(ChapterError, match=rf"^notes\.md:{line}: "):
        warnings.simplefilter("error")
        convert(text + "\n", backend, file="notes.md")


@pytest.mark.parametrize("name", ["paddle", "mindspore", "caffe", "numpy", "all"])
def test_a_name_of_another_framework_is_no_slip(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(cell(f"#@tab {name}, jax\n1"), "jax")


# branches

BRANCHES = """\
def f(x):
    if tab.selected('jax'):
        y = '''
    kept
as it is'''
    elif tab.selected("mxnet") or tab.selected(['torch', 'pytorch']):  # why
        y = g(1,
  2)
# a comment to the left
        y += 1

    else:
        y = 0
    if tab.selected('jax',
                    'numpy'): y = 1
    return y if not tab.selected('jax') else None
"""


@pytest.mark.parametrize(
    ("tab", "expected"),
    [
        ("jax", "y = '''\n    kept\nas it is'''\n    y = 1\n    return y if not True else None"),
        (
            "mxnet",
            "y = g(1,\n2)\n# a comment to the left\n    y += 1\n\n"
            "    return y if not False else None",
        ),
        ("paddle", "y = 0\n    return y if not False else None"),
    ],
)
def test_branches_are_chosen_and_moved(tab, expected):
    found = resolve(list(enumerate(BRANCHES.rstrip().split("\n"), 1)), tab)
    text = "\n".join(line for _, line in found)
    assert text == "def f(x):\n    " + expected
    ast.parse(text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # one level in all, where that is Python
        (
            "if S('jax', 'mxnet'):\n    def f():\n        if S('jax'):\n            x",
            "def f():\n        x",
        ),
        ("if S('jax'):\n    a\n    if S('jax'):\n        b\n    c", "a\nb\nc"),
        ("if S('jax'):\n  a\nif S('mxnet'):\n  b", "a"),
        ("if S('jax'):\n    # only a comment\nx", "# only a comment\nx"),
        ("def f():\n    if S('mxnet'):\n        a\nx", "def f():\n    pass\nx"),
        ("if S('mxnet'):\n    a\nelif x:\n    b\nelse:\n    c", "if x:\n    b\nelse:\n    c"),
        ("if x:\n    a\nelif S('jax'):\n    b", "if x:\n    a\nelif True:\n    b"),
        ("%magic\nif S('jax') and x:\n    !ls", "%magic\nif True and x:\n    !ls"),
        ("if S(name):\n    a", "if S(name):\n    a"),
        ("if S('jax'):\n    a = (\nb", "a = (\nb"),  # no Python: by line
    ],
)
def test_kinds_of_branches(source, expected):
    lines = source.replace("S(", "tab.selected(").split("\n")
    found = [line for _, line in resolve(list(enumerate(lines, 1)), "jax")]
    assert "\n".join(found) == expected.replace("S(", "tab.selected(")


def test_a_branch_keeps_the_lines_of_the_chapter():
    text = cell("%%tab jax\nif tab.selected('mxnet'):\n    1\nif tab.selected('jax'):\n    2\n3")
    (lines,) = convert(text, "jax").lines.values()
    assert lines == [6, 7]


# ids


def test_a_cell_keeps_the_id_of_its_fence_where_it_is_valid_and_the_first():
    infos = ["{.python .input #a-1}", "{.python .input n=3 #b_2}", "{.python .input #a-1}"]
    infos += ["{.python .input #" + 65 * "x" + "}", "{.python .input #số}", "{.python .input}"]
    cells = convert("".join(cell("1", info) for info in infos), "jax").notebook.cells
    ids = [c.id for c in cells]
    assert ids[:2] == ["a-1", "b_2"]
    assert len(set(ids)) == 6 and not {"x" * 65, "số"} & set(ids)


def test_a_given_id_that_is_the_hash_of_another_cell_is_kept():
    (hashed,) = convert(cell("1"), "jax").notebook.cells
    text = cell("1") + cell("2", "{.python .input #" + hashed.id + "}")
    first, second = convert(text, "jax").notebook.cells
    assert second.id == hashed.id != first.id


# prose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::: {.d2l-note}\nMind $x$.\n\n* a\n:::\nb", "> **Note.** Mind $x$.\n>\n> * a\n\nb"),
        ("::: {.d2l-note .warn}\n* a\n:::", "> **Warning.**\n>\n> * a"),
        ("::: {.d2l-note .rule}\n**Ours.** a\n:::", "> **Ours.** a"),
        (
            '::: {.d2l-note title="So"}\na\n:::\n\n::: {.d2l-note}\nb\n:::',
            "> **So.** a\n\n> **Note.** b",
        ),
        ("::: {.else}\na\n:::", "a"),
        (
            "::: {.d2l-note}\na\n\n```bash\nls\n```\n\nb\n:::",
            "> **Note.** a\n\n> ```bash\n> ls\n> ```\n\n> b",
        ),
        ("See :numref:``sec_x``, :numref:sec_y.", "See X, Y."),
        (
            ":cite:Le.Bo.2013中, :citet:``A.2012, B.C.2013``",
            "(Le and Bo, 2013)中, A (2012); B and C (2013)",
        ),
        ("a :numref:`sec_x, `code` and :ref:`sec_y`", "a :numref:`sec_x, `code` and Y"),
        ("# T\n:label:sec_t\n\n:numref:sec_t", '<a id="sec_t"></a>\n\n# T\n\n[T](#sec_t)'),
        ("![A](a.png) ![B](b.png)", "![A](a.png) ![B](b.png)"),
        ("![A](a.png)\n![B](b.png)\nText", "![A](a.png)\n\nA\n\n![B](b.png)\n\nB\n\nText"),
        ('![A](a b.png "T")', '![A](a%20b.png "T")\n\nA'),
        ("a ![](x.png) `![](y z.png)` b", "a ![](x.png) `![](y z.png)` b"),
        (
            "![A [l](http://x) $[0,1)$](a(1).png)\n:label:`fig_a`\n\n:numref:`fig_a`",
            '<a id="fig_a"></a>\n\n![A [l](http://x) $[0,1)$](a(1).png)'
            "\n\nA [l](http://x) $[0,1)$\n\n"
            "[A l $[0,1)$](#fig_a)",
        ),
    ],
)
def test_prose_is_readable(text, expected):
    assert prose(text) == expected


def test_pictures_in_a_line_are_found_from_the_notebooks_folder():
    text = "a ![](../x y.png 'T') ![](https://a.org/b.png)"
    found = convert(text, "jax", folder="../c/en").notebook.cells[0].source
    assert found == "a ![](../c/x%20y.png 'T') ![](https://a.org/b.png)"


# size

HUGE = {
    "cells": cell("#@tab all\nx = 1") * 10_000,
    "fences": "text\n\n```bash\nls\n```\n\n" * 20_000,
    "open comments": "<!-- a\n\n" * 20_000 + cell("1"),
    "open tabs": ":begin_tab:`pytorch`\na\n\n" * 20_000 + cell("1"),
    "open images": "![a " * 100_000,
    "open declarations": cell("tab.interact_select(\n" * 50_000),
    "backquotes": "`" * 100_000 + " `a ``b" * 50_000,
    "dollars": "$a $$ \\$ " * 100_000,
    "brackets": "[[a](" * 100_000,
    "labels": "# a\n:label:`sec_a`\n" * 5_000,
    "branches": cell("#@tab all\n" + "if tab.selected('pytorch'):\n    x\n" * 5_000),
    "ten megabytes": ("word " * 400 + "\n\n") * 5_000,
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.filterwarnings("ignore::d2l_rmsprop.book.source.ChapterWarning")
def test_time_is_linear(name):
    """A quadratic step would take hours, and the test would be stopped."""
    convert(HUGE[name], "torch")
