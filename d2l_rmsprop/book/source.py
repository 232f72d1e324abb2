"""Chapters in the book's Markdown format: which cells one framework gets, and readable prose.

A chapter is Markdown with fences ``{.python .input}`` for code. ``#@tab pytorch`` in a cell, or
``:begin_tab:`` and ``:end_tab:`` around anything, say which frameworks it is for. Roles such as
``:numref:`` and ``:cite:`` are references; `cells` turns them into text and links.

In an exercise, ``grade_id=NAME`` in a fence's braces makes its cell one of nbgrader's. Students
write what is a ``.solution``, and the rest is locked; ``points=N`` says that it is graded. A worked
answer in words is a fence ``{.markdown .input grade_id=NAME .solution points=N}``.
"""

import re
from typing import Any, NamedTuple, NoReturn

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ..backend import BACKENDS
from .references import References

ALL = frozenset(BACKENDS)
TABS = {"pytorch" if name == "torch" else name: name for name in BACKENDS}

TAB_LINE = re.compile(r"\s*#\s*@tab\b(.*)")
SAVE_MARK = re.compile(r"\s*#\s*@save\s*$")
TAB_BLOCK = re.compile(r"\s*:begin_tab:`([^`]*)`\s*|\s*(:end_tab:)\s*")
IMPORT_LINE = re.compile(r"^\s*(?:from|import)\s[^#\n]*", re.M)


class ChapterError(ValueError):
    """What is wrong with a chapter, in one sentence, and the file and line where it is."""

    def __init__(self, file: str, line: int, sentence: str):
        super().__init__(file, line, sentence)
        self.file, self.line, self.sentence = file, line, sentence

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


class Cell(NamedTuple):
    """One cell of a notebook; ``lines[i]`` is where line i of a code cell stands in the chapter."""

    kind: str
    source: str
    lines: list[int]
    nbgrader: dict[str, Any] | None = None


class Block(NamedTuple):
    """A piece of the source: "prose", "verbatim" (other fences, comments), "code" or "answer"."""

    kind: str
    line: int
    lines: list[tuple[int, str]]
    backends: frozenset[str] | None  # None: a code cell that names no framework
    nbgrader: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)


def cells(text: str, backend: str, file: str = "chapter.md", folder: str = "") -> list[Cell]:
    """Return the cells that one framework gets, in order, references resolved.

    ``folder`` is the chapter's folder as the notebook sees it; it is put before relative paths of
    pictures. Raises ChapterError where the source is malformed or has no code for the framework.
    """
    blocks = _read(text, file)
    have = _have_code(blocks)
    if backend not in have:
        tab = next(tab for tab, name in TABS.items() if name == backend)
        line = next(b.line for b in blocks if b.kind == "code" and b.backends != ALL)
        why = f"the chapter has no code for {backend}, only for {', '.join(have)}"
        _fail(file, line, f"{why}; add cells with #@tab {tab}, or choose another framework.")
    chosen = [block for block in blocks if backend in (block.backends or ())]
    references = References(b.text for b in chosen if b.kind in ("prose", "answer"))
    found: list[Cell] = []
    names: set[str] = set()
    for block in chosen:
        if block.nbgrader:
            name = block.nbgrader["grade_id"]
            if name in names:
                _fail(file, block.line, f"grade_id={name} is taken by another cell; change one.")
            names.add(name)
        if block.kind == "code":
            source, lines = block.text, [number for number, _ in block.lines]
        else:
            verbatim = block.kind == "verbatim"
            source = block.text if verbatim else references.resolve(block.text, folder)
            lines = [block.line]
        if not source.strip():
            continue
        kind = "code" if block.kind == "code" else "markdown"
        last = found[-1] if found else None
        if last and kind == last.kind == "markdown" and not (block.nbgrader or last.nbgrader):
            found[-1] = last._replace(source=last.source + "\n\n" + source)
        else:
            found.append(Cell(kind, source, lines, block.nbgrader))
    return found


def backends_of(text: str, file: str = "chapter.md") -> list[str]:
    """Return the frameworks that a chapter has code for; all of them if its code names none."""
    return _have_code(_read(text, file))


def _have_code(blocks: list[Block]) -> list[str]:
    named = [b.backends or ALL for b in blocks if b.kind == "code" and b.backends != ALL]
    have = frozenset[str]().union(*named) or ALL
    return [name for name in BACKENDS if name in have]


def _read(text: str, file: str) -> list[Block]:
    """Cut a chapter into blocks. Fences come from the parser; tabs are found by line, outside them.

    The parser takes a tab's marks for text of a paragraph, so it cannot say where a tab begins.
    """
    text = re.sub(r"\r\n?", "\n", text).rstrip() + "\n"
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    fixed = {token.map[0]: token for token in tokens if token.map and _is_fixed(token)}
    lines = text.split("\n")[:-1]
    blocks: list[Block] = []
    tab: frozenset[str] | None = None
    opened, hang, tabbed, number = 0, 0, False, 0
    while number < len(lines):
        token = fixed.get(number)
        first, number = number, token.map[1] if token and token.map else number + 1
        numbered = list(enumerate(lines[first:number], first + 1))
        if token and token.type == "fence":
            body = _fence_body(token, file)
            info = set(token.info.strip("{} ").split())
            if ".input" in info and info & {".python", ".markdown"}:
                kind = "code" if ".python" in info else "answer"
                nbgrader = _read_nbgrader(info, kind, file, first + 1)
                source, tag = _read_cell(body, file)
                tabbed |= tag is not None
                backends = tab if tag is None else tag & (tab or ALL)
                if tag and not backends:
                    why = f"this cell's #@tab is none of its tab's, line {opened}"
                    _fail(file, first + 1, f"{why}; change one of them.")
                if kind == "answer" and backends is None:
                    backends = ALL
                blocks.append(Block(kind, first + 1, source, backends, nbgrader))
                # prose that goes on in a list after its cell is no longer in the list
                hang = lines[first].index(token.markup) if token.level else 0
                continue
            if ".output" in info:
                continue
            if "toc" in info:
                entries = [(n, line.strip()) for n, line in body]
                numbered = [(n, f"- {line}") for n, line in entries if line and line[0] != ":"]
        elif not token and lines[first].lstrip().startswith((":begin_tab:", ":end_tab:")):
            mark = TAB_BLOCK.fullmatch(lines[first])
            if not mark:
                _fail(file, number, "a tab's mark stands alone on its line: :begin_tab:`mxnet`")
            if mark[2] and tab is None:
                _fail(file, number, "this :end_tab: has no :begin_tab: before it; remove it.")
            if not mark[2] and tab is not None:
                _fail(file, number, f"the tab of line {opened} is still open; write :end_tab:")
            tabbed, opened = True, number
            tab = None if mark[2] else _backends(mark[1], file, number)
            continue
        for n, line in numbered:
            if line.strip() and line[:hang].strip():
                hang = 0
            kind = "verbatim" if token else "prose"
            last = blocks[-1] if blocks else None
            if not (last and last.kind == kind and last.backends == (tab or ALL)):
                last = Block(kind, n, [], tab or ALL)
                blocks.append(last)
            last.lines.append((n, line[hang:]))
    if tab is not None:
        _fail(file, opened, "this tab is never closed; end it with a line :end_tab:")
    untagged = frozenset({"mxnet"}) if tabbed else _imported_frameworks(blocks)
    return [b if b.backends is not None else b._replace(backends=untagged) for b in blocks]


def _fail(file: str, line: int, sentence: str) -> NoReturn:
    raise ChapterError(file, line, sentence)


def _is_fixed(token: Token) -> bool:
    comment = token.type == "html_block" and token.content.lstrip().startswith("<!--")
    return comment or token.type in ("fence", "code_block")


def _fence_body(token: Token, file: str) -> list[tuple[int, str]]:
    """Return a fence's lines with their numbers, as the parser dedents them."""
    assert token.map
    first, end = token.map
    body = list(enumerate(token.content.split("\n")[:-1], first + 2))
    if end - first - 2 != len(body):  # the parser ends an open fence silently
        _fail(file, first + 1, f"this fence is never closed; close it with a line {token.markup}")
    for n, line in body:  # or lets it swallow prose up to the end of the next cell
        if re.match(rf"\s*{token.markup}[`~]*\s*[^`~\s]", line):
            why = f"this fence is still open where line {n} opens another"
            _fail(file, first + 1, f"{why}; close it with a line {token.markup}")
    return body


def _read_cell(
    body: list[tuple[int, str]], file: str
) -> tuple[list[tuple[int, str]], frozenset[str] | None]:
    """Return a code cell's lines without the book's marks, and the frameworks of its #@tab."""
    source, tag = [], None
    for n, line in body:
        if mark := TAB_LINE.fullmatch(line):
            if tag is not None:
                _fail(file, n, "a cell has one #@tab line; put the names on it, with commas.")
            tag = _backends(mark[1], file, n)
        elif not SAVE_MARK.fullmatch(line):
            source.append((n, SAVE_MARK.sub("", line)))
    while source and not source[0][1].strip():
        source.pop(0)
    while source and not source[-1][1].strip():
        source.pop()
    return source, tag


def _read_nbgrader(info: set[str], kind: str, file: str, line: int) -> dict[str, Any] | None:
    """Return what a fence's braces tell nbgrader about its cell; None if they name no grade_id."""
    values = dict(word.split("=", 1) for word in info if "=" in word)
    name, points, solution = values.get("grade_id"), values.get("points"), ".solution" in info
    if kind == "answer" and not (name and points and solution):
        _fail(file, line, "a written answer is {.markdown .input grade_id=NAME .solution points=N}")
    if name is None and points is None and not solution:
        return None
    if not name or not re.fullmatch(r"[\w-]+", name, re.A):
        _fail(file, line, "name this cell for nbgrader, in letters, digits, - and _: grade_id=NAME")
    if points is not None and not points.isdecimal():
        _fail(file, line, f"points={points} is no whole number; write it in digits.")
    mark = {
        "schema_version": 3,
        "grade_id": name,
        "cell_type": "code" if kind == "code" else "markdown",
        "solution": solution,
        "locked": not solution,
        "grade": points is not None,
        "task": False,
    }
    return mark if points is None else {**mark, "points": int(points)}


def _backends(names: str, file: str, line: int) -> frozenset[str]:
    found: set[str] = set()
    for name in (name.strip() for name in names.split(",")):
        if name not in TABS and name != "all":
            _fail(file, line, f"unknown tab {name!r}; use {', '.join(TABS)} or all.")
        found |= ALL if name == "all" else {TABS[name]}
    return frozenset(found)


def _imported_frameworks(blocks: list[Block]) -> frozenset[str]:
    """Return the frameworks that a chapter without tabs imports; all of them if it imports none."""
    code = "\n".join(block.text for block in blocks if block.kind == "code")
    words = set(re.findall(r"\w+", " ".join(IMPORT_LINE.findall(code))))
    return (ALL - {"numpy"}) & words or ALL  # every framework's chapters import NumPy
