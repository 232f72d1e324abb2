"""The first cell of a chapter of an older edition: its imports and its data file are found."""

import errno
import sys

import pytest
from conftest import framework

from d2l_rmsprop.book.compat import first_cell
from d2l_rmsprop.book.notebook import ChapterError, build, convert
from d2l_rmsprop.editions import EDITIONS, airfoil
from d2l_rmsprop.lesson import data

READS = "data = np.genfromtxt('../data/airfoil_self_noise.dat', delimiter='\\t')"


@pytest.fixture
def run(monkeypatch):
    """Return what runs a chapter's code after its first cell, as a notebook does."""
    for name in (
        "d2l",
        "d2l.torch",
        "d2l.jax",
        "d2l.paddle",
        *EDITIONS,
    ):  # so that these are as they were afterwards
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)

    def run(code, backend="torch"):
        scope = {}
        exec(first_cell(code, backend) or "", scope)
        exec(code, scope)
        return scope

    return run


@pytest.mark.parametrize(
    ("line", "backend", "module"),
    [
        ("import sys\nsys.path.append('..')\nimport utils as x", "mxnet", "editions.utils"),
        ("import sys\nsys.path.insert(0, '..')\nimport gluonbook as x", "mxnet", None),
        ("import d2lzh as x", "mxnet", "editions.d2lzh"),
        ("import sys; sys.path.append('..')\nimport d2lzh_pytorch as x", "torch", None),
        ("import os, d2lzh_tensorflow2 as x", "tensorflow", "editions.d2lzh_tensorflow2"),
        ("from d2l import torch as x", "torch", "torch"),
        ("import d2l.torch as x", "torch", "torch"),
        ("from d2l import jax as x", "jax", "jax"),
        ("from d2l import paddle as x", "paddle", "paddle"),
    ],
)
def test_an_old_import_finds_this_package(run, line, backend, module):
    framework(backend)
    module = module or "editions." + line.split()[-3]
    assert run(line, backend)["x"].__name__ == f"d2l_rmsprop.{module}"


def test_names_are_imported_from_an_edition(run):
    framework("torch")
    assert run("from d2lzh_pytorch import linreg, data_iter")["linreg"].__doc__


@pytest.mark.parametrize(
    "code",
    [
        "import d2lzh_other",
        "import my_utils",
        "from torch import nn, utils",
        "import torch.utils",
        "from d2l_rmsprop.editions import d2lzh as d2l",
        "d2l.DATA_HUB['airfoil'] = (d2l.DATA_URL + 'airfoil_self_noise.dat', '76e5')",
        "url = 'http://host/data/airfoil_self_noise.dat'",
        "open('/data/airfoil_self_noise.dat')",
    ],
)
def test_other_chapters_get_no_such_cell(code):
    assert first_cell(code, "torch") is None


def test_a_missing_framework_is_one_sentence(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("d2l_rmsprop.torch", "d2l_rmsprop.editions.d2lzh_pytorch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for line in ("import d2lzh_pytorch as d2l", "from d2l import torch as d2l"):
        with pytest.raises(ImportError, match=r"install it with: .*d2l-rmsprop\[torch\]"):
            run(line)


# the data file


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of a chapter, as its notebook's working folder."""
    folder = tmp_path / "book" / "chapter_optimization"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "path", ["../data/airfoil_self_noise.dat", "../../data/airfoil_self_noise.dat"]
)
def test_the_table_is_put_where_a_chapter_reads_it(run, place, airfoil_folder, path, capsys):
    code = f'import numpy as np\nfound = np.genfromtxt("{path}", delimiter="\\t")'
    assert run(code)["found"].shape == (1503, 6)
    table = airfoil_folder / "airfoil_self_noise.dat"
    assert (place / path).read_bytes() == table.read_bytes()
    assert capsys.readouterr().out.startswith(f"{path}: put here")


def test_a_file_that_is_there_stays(run, place, monkeypatch):
    monkeypatch.setattr(airfoil, "download", None)  # not even asked for
    (place.parent / "data").mkdir()
    mine = place.parent / "data" / "airfoil_self_noise.dat"
    mine.write_text("1\t2\n")
    assert run("import numpy as np\n" + READS)["data"].tolist() == [1, 2]


def test_no_table_and_no_room_are_one_sentence(run, place, airfoil_folder, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(airfoil, "write", full)
    with pytest.raises(data.DataError, match=r"reads \.\./data/.* \(No space left on device\); "):
        run(READS)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setattr(data, "DATA_HUB", {})
    with pytest.raises(data.DataError):
        run(READS)
    assert not list(place.parent.rglob("*.dat"))


def test_the_cell_leads_the_notebook_and_no_compat_leaves_it_out(tmp_path):
    text = "```{.python .input}\nimport d2lzh as d2l\n" + READS + "\n```\n"
    cells = convert(text, "mxnet").notebook.cells
    assert cells[0].source == first_cell(cells[1].source, "mxnet")
    compile(cells[0].source, "cell", "exec")
    assert len(convert(text, "mxnet", compat=False).notebook.cells) == 1


def test_a_chapter_that_reads_the_table_is_executed(tmp_path, airfoil_folder, monkeypatch):
    chapter = tmp_path / "book" / "chapter_optimization" / "a.md"
    chapter.parent.mkdir(parents=True)
    code = f"#@tab all\nimport numpy as np\n{READS}\nassert data.shape == (1503, 6)"
    chapter.write_text(f"```{{.python .input}}\n{code}\n```\n")
    build(chapter, "numpy", tmp_path / "out" / "a.ipynb", run=True)
    (chapter.parents[1] / "data" / "airfoil_self_noise.dat").unlink()
    monkeypatch.setenv("D2L_RMSPROP_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(ChapterError, match=r"a\.md:1: DataError: D2L_RMSPROP_DATA names"):
        build(chapter, "numpy", tmp_path / "out" / "a.ipynb", run=True)
