"""Jupyter notebooks from chapters: convert, execute, write."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode, v4

from .. import files
from ..backend import BACKENDS
from .compat import first_cell
from .source import Cell, ChapterError, backends_of, cells

__all__ = ["ChapterError", "Conversion", "backends_of", "build", "convert", "execute", "read"]

INSTALL_JUPYTER = "python -m pip install 'd2l-rmsprop[jupyter]'"
TRY = """
import sys
from d2l_rmsprop.backend import load
try:
    load(sys.argv[1])
except ImportError as error:
    sys.exit(str(error))
"""


class Stopped(ChapterError):
    """A signal ended a notebook's run; ``signal`` is its number."""

    def __init__(self, file: str, line: int, sentence: str, signal: int):
        super().__init__(file, line, sentence)
        self.signal = signal


class Conversion(NamedTuple):
    """A notebook and, for each code cell's id, where its lines stand in the chapter."""

    notebook: NotebookNode
    lines: dict[str, list[int]]

    def bytes(self) -> bytes:
        """Return the notebook as its file has it."""
        return v4.writes(self.notebook).encode() + b"\n"  # nbformat.writes validates once more


def convert(
    text: str,
    backend: str,
    *,
    file: str = "chapter.md",
    compat: bool = True,
    folder: str = "",
    student: bool = False,
) -> Conversion:
    """Return a chapter as a notebook for one framework, not executed.

    The same text gives the same bytes.

    Args:
        text: the chapter's Markdown.
        backend: one of backend.BACKENDS.
        file: the chapter's name, for errors.
        compat: whether a chapter that imports the packages of one of the book's editions gets a
            first cell that points these names at this package, see ``compat``.
        folder: the chapter's folder as the notebook sees it, for its pictures.
        student: whether worked answers are left out, as nbgrader leaves them out.

    Raises:
        ChapterError: the source is malformed, or has no code for the framework.
        ValueError: there is no such framework.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown framework {backend!r}; choose one of: {', '.join(BACKENDS)}.")
    found = cells(text, backend, file, folder, student)
    code = "\n".join(cell.source for cell in found if cell.kind == "code")
    source = first_cell(code, backend) if compat else None
    if source:
        found.insert(0, Cell("code", source, [1] * len(source.split("\n"))))
    notebook = v4.new_notebook(
        metadata={
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    lines: dict[str, list[int]] = {}
    same: Counter[tuple[str, str]] = Counter()
    given = {cell.id for cell in found}
    for cell in found:
        content = cell.kind, cell.source
        name = cell.id
        if name is None or name in lines:
            # from the content, not the place, so that nbdiff still matches cells after an insertion
            name = _digest(f"{cell.kind} {same[content]} {cell.source}")
            while name in lines or name in given:
                name = _digest(name)
        same[content] += 1
        # not v4.new_code_cell, which validates each, beside the whole below
        made: dict[str, Any] = {
            "cell_type": cell.kind,
            "id": name,
            "source": cell.source,
            "metadata": {},
        }
        if cell.kind == "code":
            made |= {"execution_count": None, "outputs": []}
        if cell.nbgrader:
            made["metadata"] = {"nbgrader": cell.nbgrader}
        notebook.cells.append(nbformat.from_dict(made))
        lines[name] = cell.lines
    nbformat.validate(notebook)
    return Conversion(notebook, lines)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def execute(
    conversion: Conversion, folder: str | Path, *, file: str = "chapter.md", timeout: int = 600
) -> None:
    """Run a notebook's cells in ``folder``, each for ``timeout`` seconds at most; fill its outputs.

    Raises ChapterError with the line in the chapter if a cell raises, does not end or puts out too
    much, or if there is no kernel, and Stopped where SIGINT, SIGTERM or SIGHUP arrives; the
    notebook then holds the outputs so far, and the kernel is gone.
    """
    try:
        from .kernel import run
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed; run: {INSTALL_JUPYTER}"
        raise ChapterError(file, 1, why) from error
    if failure := run(conversion.notebook, conversion.lines, folder, timeout):
        line, why, signal = failure
        raise Stopped(file, line, why, signal) if signal else ChapterError(file, line, why)


def missing_jupyter() -> str:
    """Return what a run of notebooks lacks, and what installs it, in a sentence; "" for nothing."""
    try:
        import nbclient  # noqa: F401
        from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec

        get_kernel_spec("python3")
    except ModuleNotFoundError as error:
        name = error.name
    except NoSuchKernel:
        name = "ipykernel"
    else:
        return ""
    return f"{name} is not installed; run: {INSTALL_JUPYTER}"


def broken(names: Sequence[str]) -> dict[str, str]:
    """Return the frameworks that do not import, and why; each is tried in a process of its own."""
    with ThreadPoolExecutor() as pool:
        return {name: why for name, why in zip(names, pool.map(_try, names), strict=True) if why}


def _try(name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TRY, name],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if not done.returncode:
        return ""
    ended = f"its import ends the process (exit code {done.returncode})."
    return done.stderr.strip().split("\n")[-1] if done.returncode == 1 else ended


def read(chapter: str | Path) -> str:
    """Return a chapter's text; ChapterError if it is not UTF-8 or cannot be read."""
    try:
        data = Path(chapter).read_bytes()
    except OSError as error:
        raise ChapterError(str(chapter), 1, f"it cannot be read ({error.strerror}).") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ChapterError(str(chapter), line, "this is not UTF-8; save it as UTF-8.") from None


def convert_file(
    chapter: str | Path,
    backend: str,
    target: str | Path,
    *,
    compat: bool = True,
    student: bool = False,
) -> Conversion:
    """Convert a chapter's file for a notebook that is to lie at ``target``; see convert."""
    # as a link has it, in which a space ends the address
    folder = quote(os.path.relpath(Path(chapter).parent, Path(target).parent).replace(os.sep, "/"))
    text, file = read(chapter), str(chapter)
    return convert(text, backend, file=file, compat=compat, folder=folder, student=student)


def build(
    chapter: str | Path,
    backend: str,
    target: str | Path,
    *,
    compat: bool = True,
    run: bool = False,
    timeout: int = 600,
    home: str | Path | None = None,
) -> None:
    """Write a chapter's notebook for one framework to ``target``, executed if ``run``.

    The cells run in the folder ``home``, by default the chapter's own, or the target's where the
    chapter's is read-only.

    A notebook that fails is written with its outputs so far to NAME.failed.ipynb, and ``target``
    stays as it was. Raises ChapterError, and OSError where ``target`` cannot be written.
    """
    chapter, target = Path(chapter), Path(target)
    conversion = convert_file(chapter, backend, target, compat=compat)
    target.parent.mkdir(parents=True, exist_ok=True)
    failed = target.with_suffix(".failed.ipynb")
    for path in (target, failed) if run else ():
        files.target(path)  # what cannot be written is said before the cells run
    if run:
        if home is None:
            home = chapter.parent if os.access(chapter.parent, os.W_OK) else target.parent
        try:
            execute(conversion, home, file=str(chapter), timeout=timeout)
        except ChapterError as error:
            files.write(failed, conversion.bytes())
            if isinstance(error, Stopped):
                error.sentence += f"; the outputs so far are in {failed.name}."
            raise
    files.write(target, conversion.bytes())
    if run:
        failed.unlink(missing_ok=True)
