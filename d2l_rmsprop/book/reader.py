"""From a chapter's text to its blocks, each with the frameworks that it is for."""

import functools
import re
from typing import Any, NamedTuple, NoReturn

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from ..backend import BACKENDS
from . import marks
from .branches import Lines, resolve
from .marks import ALL, TAB_OF, Names, Piece

DIV = re.compile(r"\s*:{3,}\s*(\{[^{}]*\}|[\w-]+)?\s*:*\s*")
REMARKS = {".rule": "Rule", ".warn": "Warning", ".d2l-note": "Note"}  # the first that it has
SLIDES = re.compile(r"\s*<!--\s*slides\s*-->\s*", re.I)
PYTHON = {"python", "python3", "py", ".python"}
# what nbgrader's generate_assignment puts for a worked answer
STUBS = {
    "code": ["# YOUR CODE HERE", "raise NotImplementedError()"],
    "answer": ["YOUR ANSWER HERE"],
}
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # nbformat's
ALT = re.compile(r"""\balt=(?:"([^"]*)"|'([^']*)')""")


class ChapterError(ValueError):
    """What is wrong with a chapter, in one sentence, and the file and line where it is."""

    def __init__(self, file: str, line: int, sentence: str):
        super().__init__(file, line, sentence)
        self.file, self.line, self.sentence = file, line, sentence

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


class Remark(NamedTuple):
    """A div around prose, which becomes a quote."""

    line: int
    title: str


class Block(NamedTuple):
    """A part of the source: "prose", "verbatim" (other fences, comments), "code" or "answer"."""

    kind: str
    line: int
    pieces: list[Piece]
    remark: Remark | None = None
    nbgrader: dict[str, Any] | None = None
    id: str | None = None
    alt: str = ""  # what the picture shows that the cell draws

    def lines(self, tab: str, student: bool = False) -> Lines:
        """Return what one framework gets of it; ``student``: without the worked answer."""
        lines = [line for piece in self.pieces if piece.is_for(tab) for line in piece.lines]
        if self.kind == "code":
            lines = resolve(lines, tab)
            shown = [i for i, (_, line) in enumerate(lines) if line.strip()]
            lines = lines[shown[0] : shown[-1] + 1] if shown else []
        if lines and student and self.nbgrader and self.nbgrader["solution"]:
            return _without_answer(lines, STUBS[self.kind])
        return lines


def _without_answer(lines: Lines, stub: list[str]) -> Lines:
    """Put the stub for each region of an answer, or for all where no region is marked."""
    kept: Lines = []
    inside = found = False
    for number, line in lines:
        if "BEGIN SOLUTION" in line:
            indent = line[: len(line) - len(line.lstrip())]
            kept += [(number, indent + written) for written in stub]
            inside = found = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            kept.append((number, line))
    return kept if found else [(lines[0][0], written) for written in stub]


class Chapter(NamedTuple):
    """A chapter as it was read. ``names`` are the tabs of ours that it is for.

    ``slips`` are lines and what looks wrong there; ``said`` has those that were warned of.
    """

    blocks: list[Block]
    names: Names
    slips: list[tuple[int, str]]
    said: dict[Any, Any]

    def have_code(self) -> list[str]:
        """Return the frameworks that it has code for; all of them if it has no code."""
        code = [piece for b in self.blocks if b.kind == "code" for piece in b.pieces if piece.lines]
        if not code:
            return list(BACKENDS)
        tabs = {name: TAB_OF[name] for name in BACKENDS}
        known = [name for name in tabs if self.names & {"all", tabs[name]}]
        return [name for name in known if any(piece.is_for(tabs[name]) for piece in code)]


class Braces(NamedTuple):
    """What a fence says of its content; ``kind`` is "other" where it is no cell."""

    kind: str
    nbgrader: dict[str, Any] | None
    id: str | None
    alt: str = ""


@functools.lru_cache(maxsize=4)  # one reading serves every framework
def read(text: str, file: str) -> Chapter:
    """Cut a chapter into blocks. ChapterError where it is malformed."""
    return _Reader(text, file).read()


class _Reader:
    """Fences and comments come from the parser; tabs are found by line, outside them.

    The parser takes a tab's marks for text of a paragraph, so it cannot say where a tab begins.
    """

    def __init__(self, text: str, file: str):
        text = re.sub(r"\r\n?", "\n", text).rstrip() + "\n"
        self.file = file
        self.lines = text.split("\n")[:-1]
        tokens = _PARSER.parse(text)
        kinds = ("fence", "code_block", "comment")
        self.fixed = {t.map[0]: t for t in tokens if t.map and t.type in kinds}
        for first, token in self.fixed.items():
            if token.type == "comment" and SLIDES.fullmatch(self.lines[first]):
                del self.lines[first:]
                break
        self.plain = not any(
            ".input" in _words(token)
            for first, token in self.fixed.items()
            if token.type == "fence" and first < len(self.lines)
        )
        self.blocks: list[Block] = []
        self.named: set[str] = set()
        self.slips: list[tuple[int, str]] = []
        self.marked = self.magic = False  # whether a cell has a mark, and one that is a magic
        self.tab: Names | None = None
        self.opened = 0  # the line of the tab's mark
        self.closed = self.closed_tabs()
        self.remarks: list[Remark | None] = []  # the divs around
        self.hang = 0

    def read(self) -> Chapter:
        number = 0
        while number < len(self.lines):
            token = self.fixed.get(number)
            first, number = number, token.map[1] if token and token.map else number + 1
            if token is None:
                self.read_line(number, self.lines[first])
            elif token.type != "fence":
                self.add("verbatim", list(enumerate(self.lines[first:number], first + 1)))
            else:
                self.read_fence(token, number)
        self.end_open_tab()
        return self.finish()

    def end_open_tab(self) -> None:
        """End a tab that no mark closes."""
        if self.tab is not None and self.opened not in self.closed:
            self.slip(self.opened, "this tab is never closed; end it with a line :end_tab:")
            self.tab = None

    def closed_tabs(self) -> set[int]:
        """Return the lines of the tabs that an end mark closes.

        Machine-translated chapters lack some; such a tab ends at the next one, or before a cell.
        """
        closed, opened, number = set(), 0, 0
        while number < len(self.lines):
            token = self.fixed.get(number)
            if token and token.map:
                number = token.map[1]
                continue
            line, number = self.lines[number], number + 1
            if marks.BEGIN_TAB.match(line):
                opened = number
            if opened and marks.END_TAB.search(line):
                closed.add(opened)
                opened = 0
        return closed

    def read_line(self, number: int, line: str) -> None:
        """Read a line of prose."""
        if begin := marks.BEGIN_TAB.match(line):
            self.tab = self.names(number, begin[1] or begin[2] or "", ":begin_tab:`mxnet`")
            self.named |= self.tab - ALL
            self.opened = number
            line = begin[3]
        end = marks.END_TAB.search(line)
        if end and self.tab is None:
            why = "this :end_tab: has no :begin_tab: before it (a tab holds no other)"
            self.fail(number, f"{why}; remove it.")
        if end:
            line = line[: end.start()]
        if line.strip() or not (begin or end):
            if div := DIV.fullmatch(line):
                self.read_div(number, div[1])
            else:
                self.add("prose", [(number, line)])
        if end:
            self.tab = None

    def read_div(self, number: int, attributes: str | None) -> None:
        if attributes is None:
            del self.remarks[-1:]
            return
        kinds = attributes.strip("{}").split()
        title = next((REMARKS[kind] for kind in REMARKS if kind in kinds), None)
        if ".d2l-note" not in kinds:
            self.remarks.append(self.remarks[-1] if self.remarks else None)
            return
        given = re.search(r'title="([^"]*)"', attributes)
        self.remarks.append(Remark(number, given[1] if given else title or ""))

    def read_fence(self, token: Token, end: int) -> None:
        """Read a fence: a cell, an old output or text."""
        assert token.map
        first = token.map[0]
        body = self.fence_body(token)
        kind, nbgrader, id, alt = self.read_braces(token, first + 1)
        if kind == "output":
            return
        if kind == "other":
            numbered = list(enumerate(self.lines[first:end], first + 1))
            if "toc" in _words(token):
                entries = [(n, line.strip()) for n, line in body]
                numbered = [(n, f"- {line}") for n, line in entries if line and line[0] != ":"]
            self.add("verbatim", numbered)
            return
        self.end_open_tab()
        pieces = [Piece(ALL, body)]
        if kind == "code":
            declared = marks.declared(token.content)
            if declared is not None:
                self.named |= declared
                self.magic = True
                return
            pieces = self.cut(body)
        if self.tab is not None:
            pieces = [self.within_tab(piece, first + 1) for piece in pieces]
        self.named.update(*(piece.names - ALL for piece in pieces if piece.names))
        self.blocks.append(Block(kind, first + 1, pieces, None, nbgrader, id, alt))
        # prose that goes on in a list after its cell is no longer in the list
        self.hang = self.lines[first].index(token.markup) if token.level else 0

    def cut(self, body: Lines) -> list[Piece]:
        """Cut a cell at its marks, each the start of a piece; the first has what stands before."""
        pieces = [Piece(None, [])]
        for number, line in body:
            if mark := marks.CELL_MARK.fullmatch(line):
                names = self.names(number, mark["names"], "#@tab pytorch")
                before = pieces.pop().lines if pieces[-1].names is None else []
                pieces.append(Piece(names, before))
                self.marked = True
                self.magic |= mark["magic"] is not None
            elif not marks.SAVE_MARK.fullmatch(line):
                pieces[-1].lines.append((number, marks.SAVE_MARK.sub("", line)))
        return pieces

    def within_tab(self, piece: Piece, line: int) -> Piece:
        assert self.tab is not None
        if piece.names is None or "all" in piece.names:
            return piece._replace(names=self.tab)
        names = piece.names if "all" in self.tab else piece.names & self.tab
        if not names:
            why = f"this cell's frameworks are none of its tab's, line {self.opened}"
            self.fail(line, f"{why}; change one of them.")
        return piece._replace(names=names)

    def add(self, kind: str, numbered: Lines) -> None:
        """Put lines of text behind what stands before them."""
        names = self.tab or ALL
        remark = self.remarks[-1] if self.remarks else None
        for number, line in numbered:
            if line.strip() and line[: self.hang].strip():
                self.hang = 0
            last = self.blocks[-1] if self.blocks else None
            same = last and (last.kind, last.pieces[0].names, last.remark) == (kind, names, remark)
            if not (last and same):
                last = Block(kind, number, [Piece(names, [])], remark)
                self.blocks.append(last)
            last.pieces[0].lines.append((number, line[self.hang :]))

    def names(self, number: int, text: str, example: str) -> Names:
        """Return the names of a mark; one that looks misspelled is worth a word."""
        names = marks.read_names(text)
        if not names:
            self.fail(number, f"this mark names no framework; write it like {example}")
        for name in sorted(names):
            if like := marks.misspelled(name):
                self.slip(number, f"unknown tab {name!r}; did you mean {like}?")
        return names

    def finish(self) -> Chapter:
        """Say for which frameworks the cells without a mark are."""
        code = [block for block in self.blocks if block.kind == "code"]
        names = ALL
        if self.marked and not self.magic:
            names = frozenset({"mxnet"})
        elif not self.magic:
            lines = (line for block in code for piece in block.pieces for _, line in piece.lines)
            names = marks.imported("\n".join(lines)) or ALL
        for block in code:
            if any(piece.names is None for piece in block.pieces):
                self.named |= names - ALL
                block.pieces[:] = [
                    Piece(piece.names or names, piece.lines) for piece in block.pieces
                ]
        return Chapter(
            self.blocks, frozenset(self.named & marks.TABS.keys()) or ALL, self.slips, {}
        )

    def fence_body(self, token: Token) -> Lines:
        """Return a fence's lines with their numbers, as the parser dedents them."""
        assert token.map
        first, end = token.map
        body = list(enumerate(token.content.split("\n")[:-1], first + 2))
        if end - first - 2 != len(body):  # the parser ends an open fence silently
            self.fail(first + 1, f"this fence is never closed; close it with a line {token.markup}")
        opening = re.compile(rf"\s*{token.markup}[`~]*\s*[^`~\s]")
        for n, line in body:  # or lets it swallow prose up to the end of the next cell
            if opening.match(line):
                why = f"this fence is still open where line {n} opens another"
                self.fail(first + 1, f"{why}; close it with a line {token.markup}")
        return body

    def read_braces(self, token: Token, line: int) -> Braces:
        words = _words(token)
        is_python = bool(PYTHON.intersection(words))
        if ".output" in words:
            return Braces("output", None, None)
        if ".input" not in words:
            return Braces("code" if self.plain and is_python else "other", None, None)
        if ".markdown" in words:
            kind = "answer"
        elif is_python or not any(re.match(r"\w|\.(?!input|solution)", w) for w in words[:1]):
            kind = "code"
        else:
            return Braces("other", None, None)
        id = next((word[1:] for word in words if word[0] == "#"), "")
        alts = [(double or single).strip() for double, single in ALT.findall(token.info)]
        if any(word.startswith("alt=") for word in words) or "" in alts or len(alts) > 1:
            self.fail(line, 'say once, in quotes, what the cell\'s picture shows: alt="a curve"')
        return Braces(
            kind,
            self.read_nbgrader(words, kind, line),
            id if CELL_ID.fullmatch(id) else None,
            "".join(alts),
        )

    def read_nbgrader(self, words: list[str], kind: str, line: int) -> dict[str, Any] | None:
        """Return what a fence's braces tell nbgrader about its cell; None if they do not."""
        pairs = [word.split("=", 1) for word in words if re.match(r"(grade_id|points)=", word)]
        values = dict(pairs)
        if len(values) < len(pairs):
            self.fail(line, "grade_id= and points= stand once in a fence's braces; remove one.")
        name, points, solution = values.get("grade_id"), values.get("points"), ".solution" in words
        if kind == "answer" and not (name and points and solution):
            self.fail(
                line, "a written answer is {.markdown .input grade_id=NAME .solution points=N}"
            )
        if name is None and points is None and not solution:
            return None
        if not name or not re.fullmatch(r"[\w-]+", name, re.A):
            self.fail(
                line, "name this cell for nbgrader, in letters, digits, - and _: grade_id=NAME"
            )
        if points is not None and not points.isdecimal():
            self.fail(line, f"points={points} is no whole number; write it in digits.")
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

    def slip(self, line: int, sentence: str) -> None:
        self.slips.append((line, sentence))

    def fail(self, line: int, sentence: str) -> NoReturn:
        raise ChapterError(self.file, line, sentence)


def _words(token: Token) -> list[str]:
    """Return what a fence says behind its marks: {.python .input #id} is .python, .input, #id."""
    words = re.sub(r"[{}]", " ", ALT.sub("", token.info)).split()
    return [
        part.lower() if part[0] == "." else part
        for word in words
        for part in (re.findall(r"\.[^.]+", word) if re.fullmatch(r"(\.\w+)+", word) else [word])
    ]


def _comment(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Read <!-- ... -->, which hides what stands in it; never closed, it is text."""
    begin = state.bMarks[first] + state.tShift[first]
    if state.is_code_block(first) or not state.src.startswith("<!--", begin):
        return False
    if "last" not in state.env:  # looked for once, or many open comments take quadratic time
        state.env["last"] = state.src.rfind("-->")
    if begin > state.env["last"]:
        return False
    for line in range(first, end):
        if line > first and state.sCount[line] < state.blkIndent:
            return False  # the list ends
        if state.src.find("-->", state.bMarks[line], state.eMarks[line]) >= 0:
            if not silent:
                state.line = line + 1
                token = state.push("comment", "", 0)
                token.map = [first, state.line]
            return True
    return False


# Other HTML is prose: as a block it would hide a fence that follows it without a blank line.
_PARSER = MarkdownIt("commonmark").disable("inline")
_PARSER.block.ruler.at("html_block", _comment, {"alt": ["paragraph", "reference", "blockquote"]})
