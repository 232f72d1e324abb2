"""Chapters in the book's Markdown format: which cells one framework gets, and readable prose.

Code stands in fences ``{.python .input}``; in a file without any, in fences of ``python``. What
else is read, and where:

    In a cell                                                          (marks, reader, branches)
    #@tab pytorch, jax           the cell is for these frameworks, or all. With several such lines
    %%tab pytorch, jax           each begins a piece of its own; the pieces of a framework are one
                                 cell of its notebook.
    neither                      for MXNet, where the chapter's marks are all #@tab; else for every
                                 framework of the chapter; without any mark, for those that its
                                 code imports, or every one
    tab.interact_select('jax')   declares frameworks of the chapter; the cell goes
    if tab.selected('jax'):      a branch for these frameworks
    #@save                       goes

    Around anything                                                                      (reader)
    :begin_tab:`jax`, :end_tab:  what stands between is for these frameworks
    ::: {.d2l-note .warn}, :::   a remark; becomes a quote
    <!-- slides -->              what follows is for slides, and goes

    In a fence's braces                                                                  (reader)
    #some-id                     the id of the cell
    grade_id=NAME                makes the cell one of nbgrader's: students write what is a
    points=N, .solution          .solution, the rest is locked; points say that it is graded. A
                                 worked answer in words is a fence
                                 {.markdown .input grade_id=NAME .solution points=N}.

    alt="A curve that falls."    says what the cell's picture shows, for the site (see pages);
                                 a notebook is the same without

    In prose                                                                         (references)
    :numref:`sec_x` and others   become text and links

A chapter is for the frameworks that its marks and tabs name. Those that are not ours are somebody
else's, and go without a word.
"""

import re
import warnings
from typing import Any, NamedTuple

from .branches import Lines
from .marks import TAB_OF
from .reader import ChapterError, Remark, read
from .references import References

__all__ = ["Cell", "ChapterError", "ChapterWarning", "backends_of", "cells"]


class ChapterWarning(UserWarning):
    """What looks wrong in a chapter that can be read; shown with its file and line."""


class Cell(NamedTuple):
    """One cell of a notebook; ``lines[i]`` is where line i of a code cell stands in the chapter."""

    kind: str
    source: str
    lines: list[int]
    nbgrader: dict[str, Any] | None = None
    id: str | None = None  # that the chapter gives it


def cells(
    text: str,
    backend: str,
    file: str = "chapter.md",
    folder: str = "",
    student: bool = False,
) -> list[Cell]:
    """Return the cells that one framework gets, in order, references resolved.

    ``folder`` is the chapter's folder as the notebook sees it; it is put before relative paths of
    pictures. ``student``: the worked answers are left out. Raises ChapterError where the source is
    malformed or has no code for the framework; warns with ChapterWarning of what looks like a slip.
    """
    chapter, tab = read(text, file), TAB_OF[backend]
    for line, sentence in chapter.slips:
        try:
            warnings.warn_explicit(sentence, ChapterWarning, file, line, registry=chapter.said)
        except ChapterWarning:  # where warnings are errors
            raise ChapterError(file, line, sentence) from None
    have = chapter.have_code()
    if backend not in have:
        code = [block for block in chapter.blocks if block.kind == "code"]
        line = code[0].line
        others = {name for block in code for piece in block.pieces for name in piece.names or ()}
        only = ", ".join(have or sorted(others))
        why = f"the chapter has no code for {backend}, only for {only}"
        why += f"; add cells with #@tab {tab}, or choose another framework."
        raise ChapterError(file, line, why)
    chosen = [(block, block.lines(tab, student)) for block in chapter.blocks]
    chosen = [(block, lines) for block, lines in chosen if lines]
    references = References(_text(ls) for b, ls in chosen if b.kind in ("prose", "answer"))
    found: list[Cell] = []
    prose: Lines = []  # of the cell that is being written
    names: set[str] = set()
    remark: Remark | None = None
    for block, lines in chosen:
        if block.nbgrader:
            name = block.nbgrader["grade_id"]
            if name in names:
                why = f"grade_id={name} is taken by another cell; change one."
                raise ChapterError(file, block.line, why)
            names.add(name)
        source = _text(lines)
        if block.kind == "code":
            found += _markdown(prose)
            found.append(Cell("code", source, [n for n, _ in lines], block.nbgrader, block.id))
            continue
        if block.kind != "verbatim":
            source = references.resolve(source, folder)
        if not source.strip():
            continue
        if block.remark:
            source = quote(source, "" if block.remark == remark else block.remark.title)
            remark = block.remark
        if block.nbgrader:
            found += _markdown(prose)
            found.append(Cell("markdown", source, [block.line], block.nbgrader, block.id))
        else:
            prose.append((block.line, source))
    return found + _markdown(prose)


def backends_of(text: str, file: str = "chapter.md") -> list[str]:
    """Return the frameworks that a chapter has code for; all of them if it has no code."""
    return read(text, file).have_code()


def _text(lines: Lines) -> str:
    return "\n".join(line for _, line in lines)


def _markdown(prose: Lines) -> list[Cell]:
    """Return the cell of what prose there is, and empty that."""
    source = "\n\n".join(text for _, text in prose)
    found = [Cell("markdown", source, [prose[0][0]])] if prose else []
    prose.clear()
    return found


def quote(text: str, title: str) -> str:
    """Return a remark as a quote; one that begins in bold has its title already."""
    if title and not text.startswith("**"):
        stands_alone = re.match(r"(?:[-*+]|\d+[.)])\s|[#>|$`!<]", text)
        text = f"**{title}.**" + ("\n\n" if stands_alone else " ") + text
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
