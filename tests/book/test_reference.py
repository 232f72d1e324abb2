"""The book's own tool makes the same code cells of chapters drawn at random. Needs d2lbook."""

import random
from pathlib import Path

import pytest

from d2l_rmsprop.book.marks import TAB_OF, TABS
from d2l_rmsprop.book.source import ChapterError, cells

reference = pytest.importorskip("d2lbook.notebook", reason="needs d2lbook", exc_type=ImportError)

CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").rglob("*.md"))
KNOWN = [tab for tab in TABS if tab != "mxnet"]


def theirs(text, tab):
    """The book's cells; it takes MXNet for the default, and joins no pieces of a cell."""
    notebook = reference.split_markdown_cell(reference.read_markdown(text))
    chosen = reference.get_tab_notebook(notebook, tab, "mxnet")
    found = [c.source for c in chosen.cells if c.cell_type == "code"] if chosen else []
    lines = [
        "\n".join(line.partition("#@save")[0].rstrip() for line in s.split("\n")) for s in found
    ]
    return [source.strip() for source in lines if source.strip()]


def ours(text, tab):
    try:
        return [c.source.rstrip() for c in cells(text, TABS[tab]) if c.kind == "code"]
    except ChapterError as error:
        assert "has no code for" in error.sentence
        return []


class Author:
    """Writes a chapter for MXNet and some other frameworks, in one of the two forms of marks."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.tabs = ["mxnet", *self.draw.sample(KNOWN, self.draw.randrange(1, len(KNOWN)))]
        self.mark = self.draw.choice(["#@tab ", "%%tab "])

    def some(self):
        names = [*self.tabs, "mindspore"]
        return self.draw.sample(names, self.draw.choice([1, 1, 2, 3]))

    def chapter(self):
        first = [self.fence(f"{self.mark}{tab}\nimport {tab}") for tab in self.tabs]
        parts = [self.part() for _ in range(self.draw.randrange(2, 9))]
        return "\n\n".join(["# Title\n:label:`sec_a`", *first, *parts]) + "\n"

    def fence(self, code):
        infos = [
            "{.python .input}",
            "{.python .input  n=3}",
            "{.input .python}",
            " {.python .input}",
        ]
        return f"```{self.draw.choice(infos)}\n{code}\n```"

    def part(self):
        names = ", ".join(self.some())
        if self.draw.random() < 0.3:
            return self.draw.choice(
                [
                    "See `x` and :numref:`sec_a`.\n\n* a\n* b",
                    f":begin_tab:`{names}`\nOnly.\n:end_tab:",
                    f":begin_tab:`{names}`\n```bash\nls\n```\n:end_tab:",
                    f": begin_tab:`{names}`\nOnly.\n: end_tab:",
                    f":begin_tab: `{names}`\nOnly.\n:end_tab:",
                    "```python\nno cell\n```",
                    "<center>a</center>",
                    "::: {.d2l-note}\na\n:::",
                ]
            )
        code = self.draw.choice([self.plain, self.branches])()
        marks = [f"{self.mark}{names}\n", f"# {self.mark}{names}\n", f"{self.mark}all\n"]
        if self.mark == "#@tab ":  # d2lbook's default is another in chapters of the other form
            marks = [f"#@tab {names}\n", f"# @tab  {names}\n", "#@tab all\n", ""]
        return self.fence(self.draw.choice(marks) + code)

    def plain(self):
        pool = ["x = 1", "def f(a):  #@save\n    return a\n\nb = 2", "# c", "%magic", "!ls"]
        return "\n".join(self.draw.choices(pool, k=self.draw.randrange(1, 4)))

    def branches(self):
        lines = ["def f(x):"]
        bodies = ["y = 2", "'''Doc.\n\n        more\n        '''", "g(1,\n          2)", "# c"]
        for _ in range(self.draw.randrange(1, 5)):
            quote = self.draw.choice("'\"")
            names = ", ".join(f"{quote}{name}{quote}" for name in self.some())
            other = self.draw.choice(["", "", f" or tab.selected('{self.draw.choice(self.tabs)}')"])
            lines.append(f"    if tab.selected({names}){other}:{self.draw.choice(['', '  # why'])}")
            lines += [f"        {body}" for body in self.draw.choices(bodies, k=2)]
            lines += self.draw.choice([[], [""], ["    # for all"], ["    z = 3"]])
        return "\n".join([*lines, "    return x"])


@pytest.mark.parametrize("seed", range(60))
def test_a_chapter_at_random(seed):
    text = Author(seed).chapter()
    assert {tab: ours(text, tab) for tab in TABS} == {tab: theirs(text, tab) for tab in TABS}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_our_chapters(path):
    text = path.read_text("utf-8")
    text = text.replace("{.markdown .input", "{.markdown")  # written answers are our own
    for name, tab in TAB_OF.items():
        assert ours(text, tab) == theirs(text, tab), name
