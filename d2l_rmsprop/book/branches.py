"""The branches ``if tab.selected('pytorch'):`` of a cell, resolved for one framework.

The chosen branch stays, moved to where its ``if`` stood, and the others go, with ``elif`` and
``else`` as in Python. Any other call of ``tab.selected`` becomes True or False. A block that loses
all of its lines gets a ``pass``.
"""

import ast
import io
import re
import tokenize
from typing import NamedTuple

Lines = list[tuple[int, str]]  # with their numbers in the chapter

CALL = re.compile(r"\btab\.selected\s*\((\([^()]*\)|[^()]*)\)")
HEADER = re.compile(
    r"(?:el)?if\b((?:\s|[()]|not\b|and\b|or\b|True\b|False\b)+):\s*(?:#.*)?(.*)", re.S
)
ELSE = re.compile(r"else\s*:\s*(?:#.*)?(.*)", re.S)
MAGIC = re.compile(r"^([ \t]*)[%!].*", re.M)
BETWEEN = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Statement(NamedTuple):
    """What Python reads as one line, a comment or a blank line; where it stands and how deep."""

    rows: range
    indent: int
    is_code: bool
    below: int  # the indent of the next code
    body: int  # and of the next line, if that stands deeper


class Branch(NamedTuple):
    """A branch around a line; ``decided``: it stays, or one before it in its chain does."""

    indent: int
    move: int
    stays: bool
    decided: bool


class Kept(NamedTuple):
    """A line that stays, and the moves to the left of the branches around it, outermost first."""

    row: int
    line: str
    moves: list[int]


def resolve(lines: Lines, tab: str) -> Lines:
    """Return a cell's lines as the framework of this tab has them."""
    source = [line for _, line in lines]
    if "tab.selected" not in "\n".join(source):
        return lines
    statements, strings = _statements(source)
    kept = _choose(source, statements, tab)

    def moved(levels: int) -> Lines:
        found = []
        for row, line, moves in kept:
            if row not in strings:
                line = line[min(sum(moves[:levels]), _indent(line)) :]
                if not line.lstrip().startswith("#"):
                    line = _decide(line, tab)
            found.append((lines[row][0], line))
        return found

    # The book moves a branch in a branch by one level in all; beside other lines of the outer
    # branch that is no Python, and every level counts.
    one, every = moved(1), moved(len(lines))
    return every if one != every and not _is_python(one) and _is_python(every) else one


def _choose(source: list[str], statements: list[Statement], tab: str) -> list[Kept]:
    """Return the lines that stay."""
    kept: list[Kept | None] = []
    opened: list[Branch] = []
    ended: Branch | None = None  # the branch that ends right before this statement
    empty: tuple[int, int, Kept] | None = None  # a block without a line: its indent, place, pass

    def fill(indent: int) -> None:
        nonlocal empty
        if empty and indent <= empty[0]:
            kept[empty[1]] = empty[2]
        empty = None

    for rows, indent, is_code, below, body in statements:
        text = "\n".join(source[row] for row in rows).strip()
        # a comment may stand further left than the code it belongs to; blank lines go with a branch
        depth = indent if is_code else max(indent, below)
        while text and opened and depth <= opened[-1].indent:
            ended = opened.pop()
        stays = all(branch.stays for branch in opened)
        moves = [branch.move for branch in opened]
        if is_code:
            chain = ended if ended and ended.indent == indent and text.startswith("el") else None
            ended = None
            chosen = _decide(text, tab)
            header = HEADER.fullmatch(chosen) if chosen != text else None
            other = ELSE.fullmatch(text) if chain else None
            true = None  # not of a branch
            if header and (chain or text.startswith("if")):
                true = not (chain and chain.decided) and _truth(header[1])
            elif chain and (other or chain.decided):
                true = not chain.decided
            elif chain:  # an elif with a condition of its own, which now comes first
                source[rows[0]] = source[rows[0]].replace("elif", "if", 1)
            if true is not None:
                decided = true or bool(chain and chain.decided)
                opened.append(Branch(indent, max(body - indent, 0), true, decided))
                match = header or other
                beside = match.groups()[-1] if match else ""  # on the header's own line
                if not (beside and true and stays):
                    continue
                here = beside.split("\n")
                rows = rows[: len(here)]
                here[0] = source[rows[0]][:indent] + here[0]
                for row, line in zip(rows, here, strict=True):
                    source[row] = line
        if not stays:
            continue
        if is_code:
            fill(indent)
        kept.extend(Kept(row, source[row], moves) for row in rows)
        if is_code and below > indent:
            line = source[rows[0]][:indent] + " " * (below - indent) + "pass"
            empty = indent, len(kept), Kept(rows[-1], line, moves)
            kept.append(None)
    fill(-1)
    return [line for line in kept if line]


def _statements(source: list[str]) -> tuple[list[Statement], set[int]]:
    """Cut a cell into statements; also the rows that lie in a string which is no docstring.

    Where it is no Python, each line is a statement.
    """
    text = MAGIC.sub(r"\1pass", "\n".join(source)) + "\n"
    ends: dict[int, int] = {}
    strings: set[int] = set()
    tokens: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NEWLINE:
                ends[tokens[0].start[0] - 1] = token.start[0]
                if not (len(tokens) == 1 and tokens[0].type == tokenize.STRING):
                    for inner in tokens:
                        strings.update(range(inner.start[0], inner.end[0]))
                tokens = []
            elif token.type not in BETWEEN:
                tokens.append(token)
    except (tokenize.TokenError, SyntaxError):
        pass
    cut: list[tuple[range, int, bool]] = []
    row = 0
    while row < len(source):
        rows = range(row, ends.get(row, row + 1))
        is_code = source[row].lstrip()[:1] not in ("", "#")
        cut.append((rows, _indent(source[row]), is_code))
        row = rows.stop
    found, below, body = [], 0, 0
    for rows, indent, is_code in reversed(cut):
        found.append(Statement(rows, indent, is_code, below, max(below, body)))
        below = indent if is_code else below
        body = indent if source[rows[0]].strip() else body
    return found[::-1], strings


def _decide(text: str, tab: str) -> str:
    """Put True or False for calls of tab.selected."""

    def decide(call: re.Match[str]) -> str:
        names = [name.lower() for name in re.findall(r"""["']\s*(\w+)\s*["']""", call[1])]
        return str(tab in names or "all" in names) if names else call[0]

    return CALL.sub(decide, text)


def _truth(condition: str) -> bool | None:
    """Return the value of True, False, not, and, or in parentheses; None if it is malformed."""
    try:
        return bool(eval(f"({condition})"))
    except (SyntaxError, TypeError):
        return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_python(lines: Lines) -> bool:
    try:
        ast.parse(MAGIC.sub(r"\1pass", "\n".join(line for _, line in lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
