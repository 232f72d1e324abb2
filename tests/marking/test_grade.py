"""check and grade as their users call them: files, folders, and what is wrong with these."""

import csv
import json
import os
import re
import stat

import nbformat
import pytest
from click.testing import CliRunner
from nbformat import v4
from submissions import RIGHT, WRONG

from d2l_rmsprop.commands import main

GOOD, BAD = RIGHT["layer"][1], WRONG["swapped"][1]


def run(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def notebook(path, *cells, text="Exercise"):
    made = v4.new_notebook(cells=[v4.new_markdown_cell(text), *map(v4.new_code_cell, cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, path)
    return path


def test_check_says_the_verdict_and_exits_with_it(tmp_path):
    for name, code, status in (("good", GOOD, 0), ("bad", BAD, 1), ("none", "x = 1", 2)):
        path = tmp_path / f"{name}.py"
        path.write_text(code)
        done = run("check", path, "--backend", "numpy", "--json")
        report = json.loads(done.stdout)
        assert done.exit_code == status
        assert report["verdict"] == ("right", "wrong", "cannot be checked")[status]
        assert report["backends"]["numpy"]["mistake"] == report["mistake"]
        assert (report["mistake"] is None) == (status == 0)


def test_a_notebook_is_checked_though_cells_are_broken_pasted_or_magic(tmp_path):
    path = notebook(
        tmp_path / "ann.ipynb", "%matplotlib inline\n!ls\nimport numpy as np", "x = (", GOOD, GOOD,
        "%%bash\nrm -rf /", "raise ValueError", "while True: pass",
    )  # fmt: skip
    assert run("check", path, "--backend", "numpy").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"x", "should end in .py or .ipynb"),
        ("a.ipynb", b"{", "is not a notebook"),
        ("a.ipynb", b'{"cells": 3}', "is not a notebook"),
        ("a.ipynb", b"[" * 100_000, "is not a notebook"),
        ("a.py", b"\xff\xfe\x00", "is not UTF-8"),
        ("a.py", b"# coding: nonsense\nx", "is not UTF-8"),
        ("a.py", "# \u8fd9".encode("gbk"), "is not UTF-8"),
        ("a.py", b"x" * (11 * 2**20), "is larger than 10 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, name, content, why):
    path = tmp_path / name
    path.write_bytes(content)
    done = run("check", path, "--backend", "numpy")
    assert done.exit_code == 2 and why in done.output and "Traceback" not in done.output


def test_other_encodings_that_say_so_are_read(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(("# coding: gbk\n# \u8fd9\n" + GOOD).encode("gbk"))
    assert run("check", path, "--backend", "numpy").exit_code == 0
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert run("check", path, "--backend", "numpy").exit_code == 0


def test_a_class_gets_a_row_and_a_feedback_file_each_in_its_language(tmp_path):
    folder = tmp_path / "submitted"
    notebook(
        folder / "s12345" / "rmsprop" / "1-write-rmsprop.numpy.ipynb", BAD, text="写出这两行代码"
    )
    notebook(folder / "s12345" / "rmsprop" / "2-plane.numpy.ipynb", "d2l.rmsprop")
    notebook(folder / "Nguyễn Văn" / "a.ipynb", BAD, text="Hãy viết hàm này cập nhật được")
    (folder / "Smith John.py").write_text(GOOD)
    (folder / "two" / "x").mkdir(parents=True)
    (folder / "two" / "a.py").write_text(GOOD)
    (folder / "two" / "x" / "b.py").write_text(BAD)
    (folder / "=1+1.py").write_text("x = 1")
    outside = tmp_path / "outside.py"
    outside.write_text(GOOD)
    (folder / "link.py").symlink_to(outside)
    (folder / "empty").mkdir()
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "x.py").write_text(BAD)
    target = tmp_path / "grades.csv"
    done = run("grade", folder, "-o", target, "--backend", "numpy", "--points", "4")
    assert done.exit_code == 0, done.output
    found = rows(target)
    assert set(found) == {"s12345", "Nguyễn Văn", "Smith John", "two", "'=1+1", "link"}
    assert found["Smith John"] == {
        "student": "Smith John", "score": "4", "verdict": "right", "mistake": "",
    }  # fmt: skip
    assert found["s12345"]["score"] == "0" and "写反" in found["s12345"]["mistake"]
    assert "đổi chỗ" in found["Nguyễn Văn"]["mistake"]
    assert "2 submissions" in found["two"]["mistake"] and found["two"]["score"] == "0"
    assert "link out of the folder" in found["link"]["mistake"]
    assert found["'=1+1"]["verdict"] == "cannot be checked"
    feedback = {
        path.stem: path.read_text("utf-8") for path in (tmp_path / "grades-feedback").iterdir()
    }
    assert len(feedback) == 6 and "写反" in feedback["s12345"] and "right" in feedback["Smith John"]


def test_grades_are_never_overwritten_without_force(tmp_path):
    folder, target = tmp_path / "class", tmp_path / "grades.csv"
    folder.mkdir()
    (folder / "ann.py").write_text(GOOD)
    target.write_text("old")
    done = run("grade", folder, "-o", target, "--backend", "numpy")
    assert done.exit_code == 2 and "--force" in done.output and target.read_text() == "old"
    assert run("grade", folder, "-o", target, "--backend", "numpy", "--force").exit_code == 0
    assert rows(target)["ann"]["verdict"] == "right"


def test_an_interrupted_class_goes_on_from_what_is_done(tmp_path, monkeypatch):
    from d2l_rmsprop.marking import grade

    folder, target = tmp_path / "class", tmp_path / "grades.csv"
    folder.mkdir()
    for i in range(9):
        (folder / f"s{i}.py").write_text(GOOD)
    checked = []
    real = grade.check_cells

    def check_cells(*args, **options):
        checked.append(1)
        if len(checked) == 6:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(grade, "check_cells", check_cells)
    stopped = run("grade", folder, "-o", target, "--backend", "numpy", "--jobs", "1")
    assert stopped.exit_code != 0 and not target.exists()
    done = len(json.loads((tmp_path / "grades.csv.unfinished").read_text("utf-8"))["done"])
    assert done == 4  # the first block
    (folder / "s0.py").write_text(BAD)  # handed in anew, so judged anew
    assert run("grade", folder, "-o", target, "--backend", "numpy", "--jobs", "1").exit_code == 0
    assert len(checked) == 6 + 9 - done + 1
    assert [rows(target)[f"s{i}"]["verdict"] for i in range(9)] == ["wrong"] + ["right"] * 8
    assert not (tmp_path / "grades.csv.unfinished").exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"grading": 1, "done": []}', "[" * 100_000])
def test_a_broken_unfinished_file_is_a_sentence(tmp_path, content):
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ann.py").write_text(GOOD)
    (tmp_path / "grades.csv.unfinished").write_text(content)
    done = run("grade", folder, "-o", tmp_path / "grades.csv", "--backend", "numpy")
    assert done.exit_code == 1 and "delete it" in done.output and "Traceback" not in done.output


def test_bad_folders_outputs_and_schedulers_are_a_sentence(tmp_path):
    empty, folder = tmp_path / "empty", tmp_path / "class"
    empty.mkdir()
    folder.mkdir()
    (folder / "ann.py").write_text(GOOD)
    cases = [
        ((empty, "-o", tmp_path / "g.csv"), "no .py or .ipynb file"),
        ((tmp_path / "none", "-o", tmp_path / "g.csv"), "does not exist"),
        ((folder, "-o", tmp_path / "g.txt"), "should end in"),
        ((folder, "-o", tmp_path / "none" / "g.csv"), "cannot be written"),
        ((folder, "-o", tmp_path / "g.csv", "--pattern", "*.R"), "no .py or .ipynb file"),
        ((folder, "-o", tmp_path / "g.csv", "--scheduler", "tcp://127.0.0.1:9"), "scheduler|Dask"),
        ((folder, "-o", tmp_path / "g.csv", "--scheduler", "nonsense"), "scheduler|Dask"),
    ]
    for args, why in cases:
        done = run("grade", *args, "--backend", "numpy")
        assert done.exit_code in (1, 2) and re.search(why, done.output), (args, done.output)
        assert "Traceback" not in done.output and not (tmp_path / "g.csv").exists()


def test_without_bubblewrap_what_is_not_held_is_said_once(tmp_path, monkeypatch):
    from d2l_rmsprop.marking import sandbox

    monkeypatch.setattr(sandbox, "_bubblewrap_works", lambda: False)
    path = tmp_path / "ann.py"
    path.write_text(GOOD)
    done = run("check", path, "--backend", "numpy")
    assert done.exit_code == 0 and done.stderr.count("bubblewrap") == 1


def test_an_unreadable_file_is_a_row(tmp_path):
    if os.getuid() == 0:
        pytest.skip("root reads every file")
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ann.py").write_text(GOOD)
    (folder / "bob.py").write_text(GOOD)
    (folder / "bob.py").chmod(stat.S_IWUSR)
    assert run("grade", folder, "-o", tmp_path / "g.csv", "--backend", "numpy").exit_code == 0
    assert "cannot be read" in rows(tmp_path / "g.csv")["bob"]["mistake"]


def test_in_a_notebook_check_says_the_same(capsys):
    from d2l_rmsprop import numpy as d2l

    scope = {}
    exec(BAD, scope)
    assert not d2l.check(scope["rmsprop"]) and "swapped" in capsys.readouterr().out
    assert not d2l.check(scope["rmsprop"], language="zh") and "写反" in capsys.readouterr().out
    exec(GOOD, scope)
    assert d2l.check(scope["rmsprop"])
    assert not d2l.check(d2l.rmsprop) and "own" in capsys.readouterr().out
    d2l.rmsprop([], [], {"lr": 0.1, "gamma": 0.9})  # ours is itself again
    with pytest.raises(ValueError, match="language is 'fr'"):
        d2l.check(scope["rmsprop"], language="fr")
