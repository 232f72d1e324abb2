"""The command notebook: chapters by name, a book at once, and how it stops."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.chapters import FOLDER, chapters
from d2l_rmsprop.commands import notebook as module
from d2l_rmsprop.commands.notebook import notebook as command

NAMES = {path.stem for path in FOLDER.rglob("en/*.md")}


def cell(code, info="{.python .input}"):
    return f"```{info}\n{code}\n```\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def made(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def sources(path):
    return [found.source for found in nbformat.read(path, 4).cells]


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """Work in a new folder, with NumPy and PyTorch installed as far as the command can see."""
    monkeypatch.setattr(module, "find_spec", lambda name: name in ("numpy", "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# the chapters of this package


def test_the_list_names_each_chapter_and_exercise_with_its_languages_and_title(work):
    done = run("--list")
    assert done.exit_code == 0
    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == NAMES
    assert all(line[1:4] == ["en", "vi", "zh"] for line in lines)
    titles = {line[0]: line[4] for line in lines}
    assert all(f"# {titles[path.stem]}\n" in path.read_text() for path in FOLDER.rglob("en/*.md"))


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("lang", ["en", "zh", "vi"])
def test_a_chapter_by_name_is_the_file_of_that_language_in_the_current_folder(work, name, lang):
    (source,) = FOLDER.rglob(f"{lang}/{name}.md")
    assert run(name, "--lang", lang, "--backend", "torch").exit_code == 0
    assert made(work) == {f"{name}.torch.ipynb"}
    assert run(source, "--backend", "torch", "-o", "file.ipynb").exit_code == 0
    assert sources(f"{name}.torch.ipynb") == sources("file.ipynb")


def test_a_name_is_the_packages_and_a_path_the_readers(work):
    write(work / "rmsprop", "mine")
    write(work / "rmsprop.md", "mine")
    run("rmsprop", "--backend", "numpy", "-o", "ours.ipynb")
    assert sources("ours.ipynb")[0].startswith("# RMSProp")
    for path in ("./rmsprop", "rmsprop.md"):
        run(path, "--backend", "numpy", "-o", "mine.ipynb")
        assert sources("mine.ipynb") == ["mine"]


def test_a_student_gets_an_exercise_without_its_answers(work):
    assert run("1-write-rmsprop", "--backend", "torch", "--student").exit_code == 0
    assert run("1-write-rmsprop", "--backend", "torch", "-o", "full").exit_code == 0
    theirs, full = (
        sources("1-write-rmsprop.torch.ipynb"),
        sources("full/1-write-rmsprop.torch.ipynb"),
    )
    assert len(theirs) == len(full) and "BEGIN SOLUTION" in str(full)
    assert "YOUR ANSWER HERE" in theirs and "SOLUTION" not in str(theirs)


def test_a_chapter_of_the_package_runs_in_the_notebooks_folder(work, monkeypatch):
    chapter = write(work / "package" / "chapters" / "en" / "one.md", cell("open('made', 'w')"))
    monkeypatch.setattr("d2l_rmsprop.book.chapters.FOLDER", chapter.parents[1])
    assert run("one", "--backend", "numpy", "-o", "out", "--execute").exit_code == 0
    assert made(work / "out") == {"one.numpy.ipynb", "made"}
    assert made(work / "package") == {"chapters/en/one.md"}


# a book at once

BOOK = {
    "a/one.md": cell("#@tab pytorch\n1") + cell("#@tab numpy\n2"),
    "a/two.md": cell("#@tab pytorch\n1"),
    "b/one.md": "prose",
    "b/bad.md": "text\n\n" + cell("1") + ":end_tab:\n",
}


@pytest.fixture
def book(work):
    for name, text in BOOK.items():
        write(work / "book" / name, text)
    write(work / "book" / "img" / "x.png", "")
    return work / "book"


BUILT = {
    *("a/one.numpy.ipynb", "a/one.torch.ipynb", "a/two.torch.ipynb"),
    *("b/one.numpy.ipynb", "b/one.torch.ipynb"),
}


@pytest.mark.parametrize("in_processes", [False, True])
def test_a_book_ends_with_a_count_and_a_line_for_each_refused(book, monkeypatch, in_processes):
    if in_processes:
        monkeypatch.setattr(module, "WORTH_PROCESSES", 1)
    done = run("--all", "-o", "out", book)
    assert done.exit_code == 1
    missing = ", ".join(name for name in BACKENDS if name not in ("numpy", "torch"))
    skipped, refused = done.stderr.splitlines()
    assert skipped == f"skipped {missing}: not installed"
    assert refused.startswith(f"{book}/b/bad.md:6: this :end_tab: has no :begin_tab: before it")
    count = "5 notebooks converted, 1 without code for the framework, 1 refused"
    assert done.stdout == f"4 chapters: {count}\n"
    assert made(Path("out")) == BUILT


def test_files_named_one_by_one_are_the_same_book(book):
    run("--all", "-o", "whole", book)
    run("--all", "-o", "files", *sorted(book.rglob("*.md")))
    run("--all", "-o", "both", book, *sorted(book.rglob("*.md")))
    assert made(Path("whole")) == made(Path("files")) == made(Path("both")) == BUILT
    for name in BUILT:
        assert Path("whole", name).read_bytes() == Path("files", name).read_bytes()


def test_several_frameworks_may_be_named_installed_or_not(book):
    run("--backend", "jax", "--backend", "torch", "-o", "out", book / "b" / "one.md")
    assert made(Path("out")) == {"one.jax.ipynb", "one.torch.ipynb"}


def test_without_an_output_folder_each_notebook_lies_beside_its_chapter(book):
    run("--all", book)
    assert made(book) == BUILT | set(BOOK) | {"img/x.png"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("book/img", "book/img: no .md file is in this folder."),
        ("book/img/x.png", "book/img/x.png: this is no chapter; name a file that ends in .md."),
        ("/dev/zero", "/dev/zero: this is no chapter; name a file that ends in .md."),
        ("pipe", "pipe: this is no chapter; name a file that ends in .md."),
        ("dangling.md", "dangling.md: this is no chapter; name a file that ends in .md."),
    ],
)
def test_what_is_no_chapter_is_one_line_and_the_others_are_converted(book, name, sentence):
    os.mkfifo("pipe")
    os.symlink("nothing", "dangling.md")
    done = run(name, "book/b/one.md", "--backend", "jax", "-o", "out")
    assert (done.exit_code, done.stderr) == (1, f"{sentence}\n")
    assert made(Path("out")) == {"one.jax.ipynb"}


@pytest.mark.parametrize("in_processes", [False, True])
def test_a_slip_in_a_chapter_is_said_once_and_it_is_converted(work, monkeypatch, in_processes):
    monkeypatch.setattr(module, "WORTH_PROCESSES", 1 if in_processes else 99)
    chapter = write(work / "a.md", cell("#@tab pytroch\n1") + cell("#@tab pytorch, jax\n2"))
    done = run(chapter, "--backend", "torch", "--backend", "jax", "-o", "out")
    assert done.exit_code == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{chapter}:2: ") and "pytroch" in line
    assert len(made(Path("out"))) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rmsporp"], f"no file 'rmsporp', nor a chapter; choose one of: {', '.join(chapters())}."),
        (["x" * 300], "there is no file 'xxx"),
        (["rmsprop", "--lang", "fr"], "is not there in 'fr'; --lang is one of: en, vi, zh."),
        (["book/b/one.md", "--lang", "zh"], "book/b/one.md is a file"),
        (["book/b/one.md", "book/b/one.txt"], "would become the same notebook"),
        (["rmsprop", "book/rmsprop.txt", "-o", "out"], "would become the same notebook"),
        (["rmsprop", "--backend", "jax", "-o", "x.ipynb"], "several notebooks; name a folder"),
        ([], "name a chapter; --list"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(book, arguments, words):
    write(book / "b" / "one.txt", "x")
    write(book / "rmsprop.txt", "x")
    before = made(Path())
    done = run(*arguments, "--backend", "torch")
    assert done.exit_code == 2
    assert words in done.stderr.splitlines()[-1]
    assert made(Path()) == before


# frameworks and Jupyter that are missing or broken


def test_without_jupyter_execute_says_so_once_and_writes_nothing(book, monkeypatch):
    before = made(Path())
    monkeypatch.setitem(sys.modules, "nbclient", None)
    done = run("--all", "--execute", "-o", "out", book)
    assert done.exit_code == 1
    command = "python -m pip install 'd2l-rmsprop[jupyter]'"
    assert done.stderr == f"Error: nbclient is not installed; run: {command}\n"
    assert made(Path()) == before


@pytest.mark.parametrize("kind", ["OSError", "AttributeError", "RuntimeError", "SyntaxError"])
def test_a_broken_framework_is_one_line_and_the_others_run(work, monkeypatch, kind):
    write(work / "site" / "torch" / "__init__.py", f"raise {kind}('libcudart.so.12')")
    monkeypatch.setenv(
        "PYTHONPATH", f"{work / 'site'}{os.pathsep}{Path(module.__file__).parents[2]}"
    )
    chapters = [write(work / f"{name}.md", cell("1 + 1")) for name in ("a", "b")]
    done = run("--all", "--execute", *chapters, "-o", "out")
    assert done.exit_code == 1
    assert made(Path("out")) == {"a.numpy.ipynb", "b.numpy.ipynb"}
    (line,) = [line for line in done.stderr.splitlines() if "torch" in line]
    assert line.startswith("skipped torch: torch is installed but does not ")
    assert "libcudart.so.12" in line and "python -m pip install" in line


# places and letters


def test_spaces_and_other_letters_in_paths_and_pictures(work):
    chapter = write(work / "mein Buch" / "Übung 1.md", "![](../img/x y.png)\n\n![](../img/x.png)")
    done = run(chapter, "--backend", "numpy", "-o", "заметки 1")
    assert (done.exit_code, made(Path("заметки 1"))) == (0, {"Übung 1.numpy.ipynb"})
    (text,) = sources("заметки 1/Übung 1.numpy.ipynb")
    assert text.endswith("![](../img/x.png)")


def test_a_picture_is_linked_through_folders_with_spaces(work):
    chapter = write(work / "mein Buch" / "a.md", "![](x.png)")
    run(chapter, "--backend", "numpy", "-o", "out")
    assert sources("out/a.numpy.ipynb") == ["![](../mein%20Buch/x.png)"]


def test_text_is_utf8_with_newlines_whatever_the_locale_says(work):
    text = "# 标题\r\n\r\n" + cell("print('năm')").replace("\n", "\r\n")
    (work / "a.md").write_bytes(b"\xef\xbb\xbf" + text.encode())
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = ["-m", "d2l_rmsprop", "notebook", "a.md", "--backend", "numpy"]
    subprocess.run([sys.executable, *arguments], env=environment, check=True)
    written = (work / "a.numpy.ipynb").read_bytes()
    assert b"\r" not in written
    assert sources("a.numpy.ipynb") == ["# 标题", "print('năm')"]


@pytest.mark.parametrize("place", ["a folder", "too long", "under a file", "a device"])
def test_a_place_that_cannot_be_written_is_one_sentence_and_nothing_runs(work, place):
    chapter = write(work / "a.md", cell("open('ran', 'w')"))
    (work / "folder.ipynb").mkdir()
    target = {
        "a folder": "folder.ipynb",
        "too long": f"{'x' * 300}.ipynb",
        "under a file": "a.md/x.ipynb",
        "a device": "/dev/full/x.ipynb",
    }[place]
    done = run(chapter, "--backend", "numpy", "--execute", "-o", target)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{target}: cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert made(Path()) == {"a.md"}


# stops


def kernels(pid):
    """Return the processes that a process has started, from /proc."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if parent == str(pid):
            found.append(int(status.parent.name))
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_stop_keeps_the_outputs_so_far_and_leaves_no_kernel(work, name):
    stubborn = (
        "while True:\n    try:\n        time.sleep(9)\n    except BaseException:\n        pass"
    )
    text = cell("print('so far')") + cell(f"import time\nopen('ready', 'w')\n{stubborn}")
    chapter, target = write(work / "a.md", text), write(work / "a.numpy.ipynb", "old")
    arguments = ["-m", "d2l_rmsprop", "notebook", "a.md", "--backend", "numpy", "--execute"]
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, text=True)
    while not (work / "ready").exists():
        time.sleep(0.02)
    started = kernels(process.pid)
    assert started
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate()
    while any(map(is_running, started)):  # ends by itself also where we could not end it
        time.sleep(0.02)
    assert target.read_text() == "old"
    if name == "SIGKILL":
        return
    assert process.returncode == 128 + getattr(signal, name)
    kept = "a.numpy.failed.ipynb"
    assert stderr == f"{chapter.name}:5: stopped by {name}; the outputs so far are in {kept}.\n"
    assert nbformat.read(kept, 4).cells[0].outputs[0].text == "so far\n"
