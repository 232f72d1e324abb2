"""From a chapter to a notebook: what each framework gets, what is refused, what runs."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.notebook import ChapterError, Conversion, backends_of, build, convert, execute
from d2l_rmsprop.book.reader import read as read_blocks
from d2l_rmsprop.commands.notebook import notebook as command

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"


def cell(code, info="{.python .input}"):
    return f"```{info}\n{code}\n```\n"


def sources(text, backend="torch", kind=None, **options):
    cells = convert(text, backend, **options).notebook.cells
    return [c.source for c in cells if kind in (None, c.cell_type)]


def prose(text, **options):
    """The Markdown of a chapter, joined; every framework gets it."""
    return "\n\n".join(sources(text, kind="markdown", **options))


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def write_chapter(folder, text, name="chapter.md"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# which cells a framework gets

TABBED = "\n".join(
    [
        cell("untagged = 1"),
        cell("#@tab pytorch\npytorch = 1"),
        cell("#@tab mxnet, tensorflow\nboth = 1", "{.python .input  n=7}"),
        cell("# @tab all\nevery = 1"),
        cell("#@tab numpy,jax\nours = 1"),
    ]
)


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("mxnet", ["untagged", "both", "every"]),
        ("torch", ["pytorch", "every"]),
        ("tensorflow", ["both", "every"]),
        ("numpy", ["every", "ours"]),
        ("jax", ["every", "ours"]),
    ],
)
def test_a_framework_gets_its_own_cells_in_order(backend, names):
    assert sources(TABBED, backend) == [f"{name} = 1" for name in names]


def test_untagged_cells_of_a_chapter_without_tabs_are_of_the_framework_that_it_imports():
    assert backends_of(cell("import numpy as np") + cell("from mxnet import nd")) == ["mxnet"]


def test_untagged_cells_that_import_no_framework_are_for_all():
    assert backends_of(cell("import numpy as np")) == list(BACKENDS)


def test_untagged_cells_are_of_the_framework_that_they_import_whatever_tabs_the_prose_has():
    tab = ":begin_tab:`mxnet`\nx\n:end_tab:\n\n"
    assert backends_of(tab + cell("import torch")) == ["torch"]


def test_the_books_marks_go_and_magics_stay():
    code = "#@tab pytorch\n%matplotlib inline\n#@save\ndef f():  #@save\n    !ls  # @save me"
    assert sources(cell(code)) == ["%matplotlib inline\ndef f():\n    !ls  # @save me"]


def test_a_fence_that_is_no_cell_stays_as_it_is_in_the_prose():
    shell = "```bash\npip install :numref:`x` $5\n\n\n:begin_tab:`jax`\n```"
    assert prose(f"Run\n\n{shell}\n\nnow.") == f"Run\n\n{shell}\n\nnow."


def test_old_outputs_are_dropped():
    assert sources("a\n\n" + cell("[]", "{.json .output n=1}") + "\nb") == ["a\n\nb"]


# tabs are found by line, outside fences

TABS = """Before
:begin_tab:`mxnet`
mx
:end_tab:
:begin_tab:`pytorch, jax`
both

```{.python .input}
shared = 1
```

```bash
:end_tab:
```
:end_tab:
after
"""


def test_two_tabs_in_one_paragraph_are_told_apart():
    assert sources(TABS, "jax") == [
        "Before\n\nboth",
        "shared = 1",
        "```bash\n:end_tab:\n```\n\nafter",
    ]


def test_a_tab_of_another_framework_leaves_nothing():
    assert prose(TABS + cell("#@tab mxnet\n1"), backend="mxnet") == "Before\n\nmx\n\nafter"


def test_what_stands_in_a_comment_is_not_read():
    comment = "<!--\n```{.python .input}\n:begin_tab:`nothing`\n```\n-->"
    assert sources(f"a\n\n{comment}\n\nb") == [f"a\n\n{comment}\n\nb"]


def test_a_cell_in_a_list_loses_its_indent_and_so_does_what_follows():
    text = "1. Do\n\n    ```{.python .input}\n    if 1:\n        2\n    ```\n\n    then\n\n2. and\n"
    assert sources(text) == ["1. Do", "if 1:\n    2", "then\n\n2. and"]


def test_windows_line_ends_make_no_difference():
    assert convert(TABBED.replace("\n", "\r\n"), "torch") == convert(TABBED, "torch")


# references

SECTION = "# The plane\n:label:`sec_plane`\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In :numref:`sec_adagrad`.", "In Adagrad."),
        ("In :ref:`subsec_leaky_average`.", "In Leaky average."),
        (":cite:`Tieleman.Hinton.2012` say", "(Tieleman and Hinton, 2012) say"),
        (":citep:`Le.2013, Duchi.Hazan.Singer.2011`", "(Le, 2013; Duchi et al., 2011)"),
        (":citet:`Reddi.ea.2018`", "Reddi et al. (2018)"),
        (":cite:`kaggle`", "(kaggle)"),
        ("By :eqref:`eq_leaky`", "By (Leaky)"),
        ("write `:numref:` and `x`", "write `:numref:` and `x`"),
        ("write `` :numref:`x` `` so", "write `` :numref:`x` `` so"),
        (SECTION + "text", "# The plane\n\ntext"),
        (
            SECTION + "See :numref:`sec_plane`.",
            '<a id="sec_plane"></a>\n\n# The plane\n\nSee [The plane](#sec_plane).',
        ),
        (
            "$$x$$ :eqlabel:`eq_x` holds, by :eqref:`eq_x`.",
            '<a id="eq_x"></a>\n\n$$x \\tag{1}$$\n\nholds, by [(1)](#eq_x).',
        ),
        ("$$\nx\n$$\n:eqlabel:`eq_x`", "$$\nx \\tag{1}\n$$"),
        ("$$x$$\n\n$$y$$\n\n:eqlabel:`eq_y`", "$$x$$\n\n$$y \\tag{1}$$"),
        (
            "![A *path*.](../img/x.svg)\n:width:`400px`\n:label:`fig_x`\n\nIn :numref:`fig_x`",
            '<a id="fig_x"></a>\n\n![A *path*.](../img/x.svg)\n\nA *path*.\n\n'
            "In [A *path*](#fig_x)",
        ),
        ("```toc\n:maxdepth: 2\n\nadagrad\nrmsprop\n```", "- adagrad\n- rmsprop"),
    ],
)
def test_references_come_out_as_readable_text(text, expected):
    assert prose(text) == expected


def test_equations_are_numbered_in_order_and_only_where_labelled():
    text = (
        "$$a$$ :eqlabel:`eq_a`\n\n$$b$$\n\n$$c$$\n:eqlabel:`eq_c`\n\n:eqref:`eq_c`, :eqref:`eq_a`"
    )
    assert prose(text).endswith("[(2)](#eq_c), [(1)](#eq_a)")


def test_a_caption_may_cite_and_refer_to_its_own_figure():
    text = "![By :cite:`Le.2013`, :numref:`fig_x`](x.png)\n:label:`fig_x`\n\n:numref:`fig_x`"
    assert prose(text).endswith("\n\n[By (Le, 2013), X](#fig_x)")


def test_a_label_right_below_a_table_is_no_row_of_it():
    table = "|a|b|\n|-|-|\n|1|2|\n"
    text = prose(table + ":Two numbers.\n:label:`tab_two`\nText, :numref:`tab_two`.")
    html = MarkdownIt().enable("table").render(text)
    assert html.count("<tr>") == 2
    assert "</table>\n<p>Two numbers.</p>" in html
    assert '<a href="#tab_two">Two numbers</a>' in html


def test_an_equation_labelled_on_its_line_gets_a_paragraph_of_its_own():
    html = MarkdownIt().render(prose("So $$x$$ :eqlabel:`eq_x` holds."))
    assert "<p>$$x \\tag{1}$$</p>" in html


@pytest.mark.parametrize("text", ["$5 and $6", r"\$5 and \$6"])
def test_prices_are_not_mathematics(text):
    dollar = "<span>&#36;</span>"  # a backslash is not enough in JupyterLab
    assert prose(f"{text}, but $x$ is") == f"{dollar}5 and {dollar}6, but $x$ is"


@pytest.mark.parametrize(
    "text", ["$x$", r"$\$5$ a", "$a\nb$", "$$x$$ and $$y$$", "`$5` or `$6`", "a \\\\ b"]
)
def test_mathematics_and_code_stay_as_they_are(text):
    assert prose(text) == text


def test_pictures_are_found_from_the_notebooks_folder():
    text = "![](../img/x.svg)\n\n![](https://a.org/y.svg)"
    assert prose(text, folder="../ch/en") == "![](../ch/img/x.svg)\n\n![](https://a.org/y.svg)"


# the notebook


def test_the_notebook_is_an_ordinary_one():
    notebook = convert(TABBED + cell("#@tab all\nevery = 1"), "torch").notebook
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info.name == "python"
    assert all(c.metadata == {} and not c.get("outputs") for c in notebook.cells)
    assert len({c.id for c in notebook.cells}) == len(notebook.cells) == 3


def test_a_cell_keeps_its_id_when_another_comes_before_it():
    before = {c.source: c.id for c in convert(TABBED, "torch").notebook.cells}
    after = {c.source: c.id for c in convert("New.\n\n" + TABBED, "torch").notebook.cells}
    assert before.items() <= after.items()


def test_two_builds_have_the_same_bytes(tmp_path):
    chapter = write_chapter(
        tmp_path, SECTION + TABS + TABBED + cell("#@tab all\nimport d2l, utils")
    )
    code = "import sys, d2l_rmsprop.book.notebook as n; n.build(sys.argv[1], 'jax', sys.argv[2])"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        target = tmp_path / f"{seed}.ipynb"
        subprocess.run([sys.executable, "-c", code, chapter, target], check=True, env=environment)
    assert (tmp_path / "1.ipynb").read_bytes() == (tmp_path / "2.ipynb").read_bytes()


def test_converting_imports_no_framework_and_no_client():
    code = (
        "import sys; from d2l_rmsprop.book.notebook import convert; convert('a', 'torch')\n"
        f"print([m for m in {[*BACKENDS, 'nbclient', 'matplotlib']} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# exercises: nbgrader's marks

LOCKED, ANSWER, TESTS, BY_HAND = (
    {"solution": solution, "locked": not solution, "grade": grade}
    for solution, grade in [(False, False), (True, False), (False, True), (True, True)]
)


@pytest.mark.parametrize(
    ("info", "mark"),
    [
        ("grade_id=a-1", LOCKED),
        ("grade_id=a-1 .solution", ANSWER),
        ("grade_id=a-1 points=2", {**TESTS, "points": 2}),
        (".solution points=0 grade_id=a-1", {**BY_HAND, "points": 0}),
    ],
)
def test_a_cell_with_a_grade_id_has_nbgraders_metadata(info, mark):
    found = convert(cell("x = 1", f"{{.python .input {info}}}"), "torch").notebook.cells[0]
    always = {"schema_version": 3, "grade_id": "a-1", "cell_type": "code", "task": False}
    assert found.metadata == {"nbgrader": {**always, **mark}}


@pytest.mark.parametrize("alt", ["It's 1.5 of {x}, #id .output c=d grade_id=b: 曲线", 'a "b"'])
def test_what_a_picture_shows_leaves_the_notebook_as_it_is(alt):
    quote = "'" if '"' in alt else '"'
    for info in ("", " grade_id=a points=2", " #some-id"):
        plain = cell("x = 1", f"{{.python .input{info}}}")
        said = cell("x = 1", f"{{.python .input alt={quote}{alt}{quote}{info}}}")
        assert convert(said, "jax") == convert(plain, "jax")
        assert [block.alt for block in read_blocks(said, "a.md").blocks if block.alt] == [alt]


WRITTEN = "{.markdown .input grade_id=why .solution points=3}"


def test_a_written_answer_is_a_cell_of_its_own_for_every_framework():
    answer = cell("Since $5 < 6$, see :numref:`sec_plane`.", WRITTEN)
    code = cell("mine = 1") + cell("#@tab jax\nours = 1")
    text = f"{SECTION}Why?\n\n{answer}\nNext\n\n{code}"
    for backend in ("jax", "mxnet"):
        before, found, after, _ = convert(text, backend).notebook.cells
        assert before.source.endswith("Why?") and after.source == "Next"
        assert found.source == "Since $5 < 6$, see [The plane](#sec_plane)."
        assert found.cell_type == found.metadata.nbgrader.cell_type == "markdown"
        assert found.metadata.nbgrader.items() >= {**BY_HAND, "points": 3}.items()
        assert not before.metadata and not after.metadata


def test_two_frameworks_may_share_a_grade_id():
    tabs = [cell(f"#@tab {tab}\n1", "{.python .input grade_id=a}") for tab in ("jax", "pytorch")]
    assert len(convert("".join(tabs), "jax").notebook.cells) == 1


# bad input: the line and a sentence


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a\n\n```{.python .input}\nx = 1\n", 3, "never closed"),
        ("- a\n\n  ```{.python .input}\n  x = 1\n\nb\n", 3, "never closed"),
        (f"```{{.python .input}}\nx = 1\n\nprose\n\n{cell('y')}", 1, "line 6 opens another"),
        ("```bash\nls\n\n" + cell("y"), 1, "line 4 opens another"),
        (cell("#@tab\nx"), 2, "names no framework"),
        (":begin_tab:\nx\n:end_tab:", 1, "names no framework"),
        (":begin_tab:`jax`\n:begin_tab:`numpy`\nx\n:end_tab:\n:end_tab:", 5, "holds no other"),
        ("a\n:end_tab:\n", 2, "no :begin_tab:"),
        (":begin_tab:`jax`\n\n" + cell("#@tab numpy\nx") + ":end_tab:", 3, "none of its tab's"),
        (
            "a\n\n" + cell("#@tab jax\nx") + cell("#@tab all\ny"),
            3,
            "no code for torch, only for jax",
        ),
        (cell("import mxnet"), 1, "no code for torch, only for mxnet"),
        ("a\n\n" + cell("1", "{.python .input .solution}"), 3, "name this cell for nbgrader"),
        (cell("1", "{.python .input points=1}"), 1, "name this cell"),
        (cell("1", "{.python .input grade_id=số}"), 1, "in letters, digits"),
        (cell("1", "{.python .input grade_id=a points=1.5}"), 1, "points=1.5 is no whole number"),
        (cell("Because.", "{.markdown .input grade_id=a points=1}"), 1, "a written answer is"),
        (2 * cell("1", "{.python .input grade_id=a}"), 4, "grade_id=a is taken"),
        (cell("1", "{.python .input grade_id=a grade_id=b}"), 1, "stand once"),
        (cell("1", "{.python .input grade_id=a points=1 points=2}"), 1, "stand once"),
        (cell("1", "{.python .input alt=curve}"), 1, "say once, in quotes"),
        (cell("1", '{.python .input alt=" "}'), 1, "say once, in quotes"),
        (cell("1", '{.python .input alt="a curve}'), 1, "say once, in quotes"),
        (cell("1", '{.python .input alt="a" alt="b"}'), 1, "say once, in quotes"),
    ],
)
def test_a_malformed_chapter_is_refused_with_its_line(text, line, words):
    with pytest.raises(ChapterError, match=r"^notes\.md:") as error:
        convert(text, "torch", file="notes.md")
    assert (error.value.file, error.value.line) == ("notes.md", line)
    assert words in error.value.sentence


def test_a_fence_may_show_a_cell_if_it_is_longer():
    shown = f"````markdown\n{cell('#@tab nothing')}````"
    assert prose(shown) == shown


def test_an_unknown_framework_is_a_value_error_that_lists_the_five():
    with pytest.raises(ValueError, match="'pytorch'; choose one of: numpy, torch,"):
        convert("a", "pytorch")


# chapters for the older package


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from d2l import torch as d2l", "d2l"),
        ("import os, d2l.torch", "d2l"),
        ("  import utils", "utils"),
    ],
)
def test_an_old_chapter_gets_one_first_cell_and_keeps_its_own(line, name):
    text = "# Title\n\n" + cell("#@tab all\n" + line)
    first, *others = sources(text)
    assert f'sys.modules["{name}"] = ' in first
    assert others == ["# Title", line] == sources(text, compat=False)


@pytest.mark.parametrize(
    "line", ["from d2l_rmsprop import torch as d2l", "import torch.utils", "x = 'import d2l'"]
)
def test_a_chapter_of_ours_gets_no_such_cell(line):
    assert sources(cell("#@tab all\n" + line)) == [line]


@pytest.mark.parametrize("line", ["from d2l import numpy as d2l", "import d2l.numpy as d2l"])
def test_the_old_name_is_our_module_and_brings_no_other_framework(tmp_path, line):
    code = f"#@tab all\n{line}\nimport sys, d2l_rmsprop.numpy\n"
    code += "assert d2l is d2l_rmsprop.numpy\nassert not {'torch', 'jax'} & set(sys.modules)"
    build(write_chapter(tmp_path, cell(code)), "numpy", tmp_path / "x.ipynb", run=True)


# running


def executed(folder, text, **options):
    """Build a chapter for NumPy, executed, and return its notebook."""
    target = folder / "out.ipynb"
    build(write_chapter(folder, text), "numpy", target, run=True, **options)
    return nbformat.read(target, as_version=4)


def test_an_executed_notebook_has_outputs_and_no_times(tmp_path):
    notebook = executed(tmp_path, cell("x = 40\nx + 2"))
    assert notebook.cells[0].outputs[0].data["text/plain"] == "42"
    assert notebook.cells[0].metadata == {}


def test_a_notebook_runs_in_its_chapters_folder(tmp_path):
    (tmp_path / "table.txt").write_text("7")
    notebook = executed(tmp_path, cell("print(open('table.txt').read())"))
    assert notebook.cells[0].outputs[0].text == "7\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (cell("#@tab numpy\nprint('so far')") + cell("#@tab all\nx = 1\n\n1 / 0\n"), 9, "Zero"),
        (cell("print('so far')") + cell("def f():\n    raise ValueError\nf()"), 6, "ValueError"),
        (cell("print('so far')") + cell("x = 1\nx ="), 6, "SyntaxError: invalid syntax"),
        (cell("print('so far')") + cell("while True:\n    pass"), 5, "did not end within 5 s"),
        (cell("print('so far')") + cell("import os\nos._exit(1)"), 5, "the kernel died"),
    ],
)
def test_a_cell_that_fails_keeps_the_outputs_so_far_and_the_good_notebook(
    tmp_path, text, line, words, capfd
):
    chapter = write_chapter(tmp_path, text)
    good, failed = tmp_path / "out.ipynb", tmp_path / "out.failed.ipynb"
    good.write_text("good")
    with pytest.raises(ChapterError) as error:
        build(chapter, "numpy", good, run=True, timeout=5 if "5 s" in words else 600)
    assert (error.value.file, error.value.line) == (str(chapter), line)
    assert words in error.value.sentence
    assert "\n" not in error.value.sentence
    assert "Traceback" not in capfd.readouterr().err  # nor does the kernel print one
    assert good.read_text() == "good"
    assert nbformat.read(failed, as_version=4).cells[0].outputs[0].text == "so far\n"
    assert {path.name for path in tmp_path.iterdir()} == {chapter.name, good.name, failed.name}


def test_a_kernel_that_cannot_start_says_why_in_one_line(tmp_path, monkeypatch, capfd):
    (tmp_path / "ipykernel_launcher.py").write_text("raise ImportError('no launcher')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    chapter = write_chapter(tmp_path, cell("x = 1"))
    with pytest.raises(ChapterError, match=r"kernel died: ImportError: no launcher$"):
        build(chapter, "numpy", tmp_path / "out.ipynb", run=True, timeout=600)
    assert capfd.readouterr().err == ""


def test_a_notebook_of_a_read_only_folder_runs_where_it_is_written(tmp_path, monkeypatch):
    chapter = write_chapter(tmp_path / "source", cell("open('made', 'w').close()"))
    monkeypatch.setattr("os.access", lambda path, *_, **__: Path(path) != chapter.parent)
    build(chapter, "numpy", tmp_path / "built" / "x.ipynb", run=True)
    assert (tmp_path / "built" / "made").exists()


def test_a_write_that_fails_leaves_the_old_notebook_alone(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    chapter, target = write_chapter(tmp_path, "new"), tmp_path / "x.ipynb"
    target.write_text("old")
    monkeypatch.setattr("os.replace", fail)
    done = run(chapter, "--backend", "jax", "-o", target)
    assert (done.exit_code, target.read_text()) == (1, "old")
    assert (
        done.stderr == f"{target}: cannot be written: No space left on device; choose another -o.\n"
    )
    assert len(list(tmp_path.iterdir())) == 2


def test_success_removes_the_failed_notebook_of_before(tmp_path):
    stale = tmp_path / "out.failed.ipynb"
    stale.write_text("stale")
    executed(tmp_path, cell("1"))
    assert not stale.exists()


def test_a_missing_kernel_is_named(tmp_path):
    conversion = convert(cell("1"), "numpy")
    conversion.notebook.metadata.kernelspec.name = "no-such-kernel"
    with pytest.raises(ChapterError, match=r"no Jupyter kernel no-such-.*install ipykernel"):
        execute(Conversion(*conversion), tmp_path)


# the command


def test_the_command_writes_the_named_file_and_makes_its_folder(tmp_path):
    chapter = write_chapter(tmp_path, TABBED)
    target = tmp_path / "new" / "book.ipynb"
    done = run(chapter, "--backend", "torch", "-o", target)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{target}\n", "")
    assert [c.source for c in nbformat.read(target, 4).cells] == ["pytorch = 1", "every = 1"]


def test_a_class_of_twenty_chapters_converts_in_one_process_and_keeps_its_folders(tmp_path):
    chapters = [write_chapter(tmp_path / f"{i % 4}", TABBED, f"c{i}.md") for i in range(20)]
    assert run(*chapters, "--backend", "jax", "-o", tmp_path / "build").exit_code == 0
    built = {str(path.relative_to(tmp_path)) for path in (tmp_path / "build").rglob("*.ipynb")}
    assert built == {f"build/{i % 4}/c{i}.jax.ipynb" for i in range(20)}


def test_all_makes_one_for_each_installed_framework_and_names_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("d2l_rmsprop.commands.notebook.find_spec", lambda name: name != "jax")
    chapter = write_chapter(tmp_path, cell("#@tab jax,mxnet,pytorch\nx"))
    done = run(chapter, "--all", "-o", tmp_path / "build")
    assert done.exit_code == 0
    built = {path.name for path in (tmp_path / "build").iterdir()}
    assert built == {"chapter.torch.ipynb", "chapter.mxnet.ipynb"}
    assert done.stderr == (
        f"{chapter}: skipped numpy, paddle, tensorflow: no code in this chapter\n"
        f"{chapter}: skipped jax: not installed\n"
    )


def test_a_bad_chapter_is_one_line_on_stderr_and_the_others_are_built(tmp_path):
    bad = write_chapter(tmp_path, "```{.python .input}\nx", "bad.md")
    good = write_chapter(tmp_path, "x", "good.md")
    done = run(bad, good, "--backend", "torch", "-o", tmp_path / "build")
    assert done.exit_code == 1
    assert done.stderr == f"{bad}:1: this fence is never closed; close it with a line ```\n"
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["good.torch.ipynb"]


def test_a_chapter_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    chapter = tmp_path / "chapter.md"
    chapter.write_bytes("a\nb\ntiếng Việt".encode("utf-16-le"))
    done = run(chapter, "--all")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{chapter}:3: this is not UTF-8")


def test_an_unwritable_place_is_said_and_nothing_runs(tmp_path):
    chapter = write_chapter(tmp_path, cell("open('ran', 'w')"))
    (tmp_path / "file").write_text("")
    done = run(chapter, "--backend", "numpy", "-o", tmp_path / "file" / "x.ipynb", "--execute")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{tmp_path}/file/x.ipynb: cannot be written: ")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["chapter.md"],
        ["chapter.md", "--backend", "pytorch"],
        ["chapter.md", "--backend", "torch", "--all"],
        ["chapter.md", "--all", "-o", "x.ipynb"],
        ["chapter.md", "other.md", "--backend", "torch", "-o", "x.ipynb"],
        ["chapter.md", "chapter.txt", "--backend", "torch"],
        ["chapter.md", "--backend", "torch", "--timeout", "0"],
        ["missing.md", "--backend", "torch"],
        ["--backend", "torch"],
    ],
)
def test_bad_usage_exits_with_2_and_writes_nothing(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    for name in ("chapter.md", "other.md", "chapter.txt"):
        write_chapter(tmp_path, "x", name)
    done = run(*arguments)
    assert done.exit_code == 2
    assert "Error: " in done.stderr
    assert len(list(tmp_path.iterdir())) == 3


# the two chapters that were there before ours


@pytest.mark.skipif(not SEEDS.is_dir(), reason="needs the source chapters in ../shared/seeds")
@pytest.mark.parametrize(
    ("seed", "backend"),
    [("000", "mxnet"), ("002", "mxnet"), ("002", "torch"), ("002", "tensorflow")],
)
def test_a_source_chapter_runs_as_it_stands(tmp_path, seed, backend):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    (chapter,) = SEEDS.glob(f"{seed}_*")
    target = tmp_path / "out.ipynb"
    build(chapter, backend, target, run=True)
    notebook = nbformat.read(target, as_version=4)
    text = json.dumps(notebook)
    assert ":numref:" not in text
    assert "image/" in text
    for tab in ("#@tab", ":begin_tab:", ":label:", ":cite:"):
        assert tab not in text
