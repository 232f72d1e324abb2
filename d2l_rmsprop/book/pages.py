# ruff: noqa: RUF001
"""From a chapter and its executed notebooks to a page of the site, in MyST's Markdown.

What is the same for all frameworks stands once. Where code, outputs or text differ, each framework
has a tab; neighbours that differ share one set of tabs.
"""

import base64
import itertools
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markdown_it import MarkdownIt

from .marks import TAB_OF
from .reader import Block, Chapter, ChapterError, read
from .references import OPTION, References
from .source import quote

SPELLING = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "mxnet": "MXNet",
    "jax": "JAX",
}
# of each language of the site: Sphinx's name for it, its own, its link to its start, the site's
# title, and what stands on a page
WORDS = {
    "en": {
        "sphinx": "en",
        "name": "English",
        "start": "English · start page",
        "title": "RMSProp in Six Frameworks",
        "nothing": "{framework} has nothing here.",
        "no output": "No output with {framework}.",
        "failed": "With {framework} this cell failed, so those after it were not run: {why}",
        "not run": "This cell was not run with {framework}.",
        "left out": "{framework} is left out: {why}",
        "download": "Notebook for {framework}:",
        "picture": "What the cell above draws",
    },
    "zh": {
        "sphinx": "zh_CN",
        "name": "中文",
        "start": "中文 · 首页",
        "title": "六个框架中的RMSProp",
        "nothing": "{framework}在这里没有内容。",
        "no output": "用{framework}时没有输出。",
        "failed": "用{framework}时，这个单元格出错，其后的单元格没有运行：{why}",
        "not run": "用{framework}时，没有运行这个单元格。",
        "left out": "本页没有{framework}：{why}",
        "download": "{framework}的笔记本：",
        "picture": "上面的单元格画出的图",
    },
    "vi": {
        "sphinx": "vi",
        "name": "Tiếng Việt",
        "start": "Tiếng Việt · trang đầu",
        "title": "RMSProp trên sáu framework",
        "nothing": "{framework} không có gì ở đây.",
        "no output": "Với {framework}, ô này không in ra gì.",
        "failed": "Với {framework}, ô này bị lỗi nên các ô sau không được chạy: {why}",
        "not run": "Ô này không được chạy với {framework}.",
        "left out": "Không có {framework}: {why}",
        "download": "Notebook cho {framework}:",
        "picture": "Hình do ô phía trên vẽ",
    },
}
INVISIBLE = 0.05  # by which coordinates of two pictures may differ, in points
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
# what Matplotlib names anew in each picture, and what it writes about itself
RANDOM_ID = re.compile(r'\bid="([a-z]+[0-9a-f]{10})"')
ABOUT = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.S)
# colours, and where a warning's cell lay while it ran
NOISE = re.compile(r"\x1b\[[\d;]*m|^\S*ipykernel_\d+\S*\.py:\d+: ", re.M)
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.M)
INFO = re.compile(r"^([ \t]*(?:`{3,}|~{3,}))[ \t]*\{?\.?([\w+-]+)[^\n`]*$", re.M)
PICTURES = {"image/svg+xml": "svg", "image/png": "png"}  # the first that an output has

Texts = dict[str, list[str]]  # of each framework, one below the other


class Part(NamedTuple):
    """A part of a page, for each framework; ``empty``: the word for one that has nothing."""

    texts: Texts
    empty: str = "nothing"


class Page(NamedTuple):
    """A page in Markdown, and the files of its pictures."""

    text: str
    pictures: dict[str, bytes]


class Section(NamedTuple):
    """A heading that stands once, for all frameworks; ``key`` is its label."""

    title: str
    key: str


def page(
    text: str,
    notebooks: Mapping[str, Any],
    name: str,
    *,
    language: str = "en",
    file: str = "chapter.md",
    ids: Sequence[str] = (),
    failures: Mapping[str, ChapterError] | None = None,
    left_out: Mapping[str, str] | None = None,
    downloads: str = "notebooks",
    folder: str = "",
) -> Page:
    """Return a chapter's page. The same arguments give the same bytes.

    Args:
        text: the chapter's Markdown.
        notebooks: of each framework, in order, its executed notebook; None where the cells are
            shown without outputs.
        name: the chapter's name, with which those of its pictures and notebooks begin.
        language: the page's, one of WORDS.
        file: the chapter's file, for errors.
        ids: of the sections, as the English page has them; see ``section_ids``.
        failures: what stopped a framework's notebook.
        left_out: why a framework for which there is code has no notebook.
        downloads: the folder of the notebooks, as the page sees it.
        folder: the chapter's folder as the page sees it, for its pictures.

    Raises:
        ChapterError: the source is malformed.
    """
    return _Page(
        read(text, file),
        notebooks,
        name,
        language=language,
        ids=ids or section_ids(text, file),
        failures=failures or {},
        left_out=left_out or {},
        downloads=downloads,
        folder=folder,
    ).page()


def label(backend: str) -> str:
    """Return a framework's name as its makers spell it."""
    return SPELLING.get(backend, backend.capitalize())


def section_ids(text: str, file: str = "chapter.md") -> list[str]:
    """Return the ids of a chapter's sections, in order: their titles' words."""
    return slugs([section.title for section in _sections(read(text, file))])


def headings(text: str) -> list[str]:
    """Return the headings of a page in Markdown."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [
        after.content
        for token, after in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


def slugs(titles: Sequence[str]) -> list[str]:
    """Return an id for each title, no two the same."""
    found: list[str] = []
    for title in titles:
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
        slug = slug if slug[:1].isalpha() else f"section-{slug}".strip("-")
        number = 2
        while (numbered := slug if number == 2 else f"{slug}-{number - 1}") in found:
            number += 1
        found.append(numbered)
    return found


def _is_shared(block: Block, chapter: Chapter) -> bool:
    """Return whether prose is the same for all frameworks of the chapter, installed or not."""
    lines = [block.lines(TAB_OF[name]) for name in chapter.have_code()]
    return all(other == lines[0] for other in lines)


def _sections(chapter: Chapter) -> list[Section]:
    found = []
    for block in chapter.blocks:
        if block.kind != "prose" or block.remark or not _is_shared(block, chapter):
            continue
        text = "\n".join(line for piece in block.pieces for _, line in piece.lines)
        tokens = MarkdownIt("commonmark").parse(text)
        for token, after in itertools.pairwise(tokens):
            if token.type == "heading_open" and token.level == 0 and token.map:
                below = "\n".join(text.split("\n")[token.map[1] :])
                option = OPTION.match(below)
                is_label = option and option["role"] == "label"
                key = (option["key"] or option["bare"]) if option and is_label else ""
                found.append(Section(after.content, key))
    return found


class _References(References):
    """Prose with MyST's own equations and links, which it checks."""

    dollar = r"\$"
    sections: Mapping[str, str]  # the id of each label

    def anchor(self, key: str) -> list[str]:
        return [] if key in self.sections or self._is_equation(key) else [f"({key})="]

    def link(self, key: str) -> str:
        if self._is_equation(key):
            return f"{{eq}}`{key}`"
        return f"[{self.titles[key]}](#{self.sections.get(key, key)})"

    def display(self, body: str, key: str) -> str:
        return f"$${body}$$ ({key})"

    def _is_equation(self, key: str) -> bool:
        return bool(re.fullmatch(r"\(\d+\)", self.titles.get(key, "")))


class _Page:
    def __init__(
        self,
        chapter: Chapter,
        notebooks: Mapping[str, Any],
        name: str,
        *,
        language: str,
        ids: Sequence[str],
        failures: Mapping[str, ChapterError],
        left_out: Mapping[str, str],
        downloads: str,
        folder: str,
    ) -> None:
        self.chapter, self.notebooks, self.name = chapter, notebooks, name
        self.words, self.failures = WORDS[language], failures
        self.left_out, self.downloads, self.folder = left_out, downloads, folder
        self.backends = list(notebooks)
        sections = {s.key: id for s, id in zip(_sections(chapter), ids, strict=False) if s.key}
        self.references = {}
        for backend in self.backends:
            prose = (
                "\n".join(line for _, line in block.lines(TAB_OF[backend], student=True))
                for block in chapter.blocks
                if block.kind in ("prose", "answer")
            )
            self.references[backend] = _References(prose)
            self.references[backend].sections = sections
        self.cells = self.executed()
        self.failed_at = {name: self.failing(error) for name, error in failures.items()}
        self.pictures: dict[str, bytes] = {}
        self.drawing = 0  # cells with a picture so far
        self.targets: set[str] = set()

    def executed(self) -> dict[int, dict[str, Any]]:
        """Return the executed cells of each block, by its number and the framework."""
        found: dict[int, dict[str, Any]] = {}
        for backend, notebook in self.notebooks.items():
            if notebook is None:
                continue
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            blocks = [
                number
                for number, block in enumerate(self.chapter.blocks)
                if block.kind == "code" and block.lines(TAB_OF[backend])
            ]
            # from the end: a chapter of an old edition has a first cell of its own
            for number, cell in zip(reversed(blocks), reversed(cells), strict=False):
                found.setdefault(number, {})[backend] = cell
        return found

    def failing(self, error: ChapterError) -> int:
        """Return the number of the block that an error points at."""
        code = [n for n, block in enumerate(self.chapter.blocks) if block.kind == "code"]
        before = [n for n in code if self.chapter.blocks[n].line <= error.line]
        return before[-1] if before else code[0]

    def page(self) -> Page:
        parts: list[Part] = []
        for number, block in enumerate(self.chapter.blocks):
            if block.kind == "code":
                parts += [Part(self.code(block)), Part(self.outputs(number, block), "no output")]
            else:
                parts.append(Part(self.prose(block)))
        found = self.lay_out(parts)
        title = HEADING.match(found)
        top = "\n\n".join(self.top())
        end = title.end() if title else 0
        text = "\n\n".join(part for part in (found[:end], top, found[end:].strip()) if part)
        return Page(text + "\n", self.pictures)

    def top(self) -> list[str]:
        """Return the notebooks to take along, and a word for each framework without."""
        links = {}
        for backend in self.backends:
            file = f"{self.name}.{backend}.ipynb"
            link = f'<a class="download" download href="{self.downloads}/{file}">{file}</a>'
            links[backend] = [f"{self.say('download', backend)} {link}"]
        words = [self.say("left out", name, why) for name, why in self.left_out.items()]
        note = [fence(":", "{note}", "\n\n".join(words))] if words else []
        return [self.tabs(Part(links), "downloads"), *note] if links else note

    def say(self, words: str, backend: str, why: str = "") -> str:
        code = " ".join(why.split())  # to the letter: Sphinx makes other quotes in a text
        ticks = "`" * (1 + max(map(len, re.findall("`+", code)), default=0))
        why = f"{ticks} {code} {ticks}"
        return self.words[words].format(framework=label(backend), why=why)

    def code(self, block: Block) -> Texts:
        found = {}
        for backend in self.backends:
            lines = block.lines(TAB_OF[backend], student=True)
            source = "\n".join(line for _, line in lines)
            found[backend] = [fence("`", "python", source)] if lines else []
        return found

    def outputs(self, number: int, block: Block) -> Texts:
        cells = self.cells.get(number, {})
        seen: list[list[str]] = []  # the files that stand for each picture of the cell
        found: Texts = {backend: [] for backend in self.backends}
        for backend, cell in cells.items():
            if number <= self.failed_at.get(backend, number):
                found[backend] = self.shown(cell.outputs, block, backend, seen)
            if number == self.failed_at.get(backend):
                word = self.say("failed", backend, self.failures[backend].sentence)
                found[backend].append(fence(":", "{attention}", word))
        if any(found.values()):
            for backend, failed in self.failed_at.items():
                if failed < number and backend in cells:
                    found[backend] = [self.say("not run", backend)]
        return found

    def shown(
        self, outputs: Sequence[Any], block: Block, backend: str, seen: list[list[str]]
    ) -> list[str]:
        """Return a cell's outputs as they stand on the page."""
        found: list[str] = []
        streams: list[tuple[str, str]] = []  # a stream comes in pieces

        def end_streams() -> None:
            for name, text in streams:
                if text := NOISE.sub("", text).strip("\n"):
                    found.append(_text(text, f"output {name}"))
            streams.clear()

        drawn = 0
        for output in outputs:
            if output.output_type == "stream":
                if streams and streams[-1][0] == output.name:
                    streams[-1] = output.name, streams[-1][1] + output.text
                else:
                    streams.append((output.name, output.text))
                continue
            end_streams()
            data = output.get("data", {})
            kind = next((kind for kind in PICTURES if kind in data), None)
            if kind:
                if drawn == len(seen):
                    seen.append([])
                file = self.picture(data[kind], PICTURES[kind], backend, seen, drawn)
                alt = json.dumps(block.alt or self.words["picture"], ensure_ascii=False)
                found.append(f"```{{image}} {file}\n:alt: {alt}\n```")
                drawn += 1
            elif "text/html" in data:
                found.append(fence("`", "{raw} html", data["text/html"]))
            elif "text/plain" in data:
                found.append(_text(NOISE.sub("", data["text/plain"]), "output"))
        end_streams()
        return found

    def picture(
        self, data: str, suffix: str, backend: str, seen: list[list[str]], place: int
    ) -> str:
        """Return the file of a picture, another framework's if the eye sees no difference."""
        content = clean(data).encode() if suffix == "svg" else base64.b64decode(data)
        for file in seen[place]:
            if file.endswith(suffix) and same_picture(self.pictures[file], content):
                return file
        if not seen[0]:
            self.drawing += 1
        parts = [self.name, str(self.drawing)]
        parts += [str(place + 1)] * bool(place) + [backend] * bool(seen[place])
        file = f"{'-'.join(parts)}.{suffix}"
        seen[place].append(file)
        self.pictures[file] = content
        return file

    def prose(self, block: Block) -> Texts:
        found = {}
        shared = _is_shared(block, self.chapter)
        for backend in self.backends:
            text = "\n".join(line for _, line in block.lines(TAB_OF[backend], student=True))
            if block.kind == "verbatim":
                text = "" if text.lstrip().startswith("<!--") else INFO.sub(r"\1\2", text)
            else:
                if not shared:  # a tab has no sections
                    text = HEADING.sub(r"**\1**\n", text)
                text = self.references[backend].resolve(text, self.folder)
            if text.strip() and block.remark:
                text = quote(text, block.remark.title)
            found[backend] = [text.strip("\n")] if text.strip() else []
        return found

    def lay_out(self, parts: Sequence[Part]) -> str:
        """Put what is the same once, and neighbours that are not into one set of tabs."""
        found: list[str] = []
        differing: list[Part] = []
        for part in parts:
            texts = list(part.texts.values())
            if not any(texts):
                continue
            if all(text == texts[0] for text in texts):
                found += [*self.set_of(differing), *texts[0]]
                differing = []
            else:
                differing.append(part)
        return "\n\n".join([*found, *self.set_of(differing)])

    def set_of(self, parts: Sequence[Part]) -> list[str]:
        """Return a set of tabs, and before and after it what they have in common."""
        if not parts:
            return []
        columns = [[text for part in parts for text in part.texts[b]] for b in self.backends]
        before = _common(columns)
        columns = [column[len(before) :] for column in columns]
        after = _common([column[::-1] for column in columns])[::-1]
        columns = [column[: len(column) - len(after)] for column in columns]
        texts = dict(zip(self.backends, columns, strict=True))
        return [*before, self.tabs(Part(texts, parts[0].empty)), *after]

    def tabs(self, part: Part, classes: str = "frameworks") -> str:
        items = []
        for backend, texts in part.texts.items():
            body = "\n\n".join(texts) or self.say(part.empty, backend)
            head = f"{{tab-item}} {label(backend)}\n:sync: {backend}"
            items.append(fence(":", head, self.once(body)))
        head = f"{{tab-set}}\n:sync-group: tab\n:class: {classes}"
        return fence(":", head, "\n\n".join(items))

    def once(self, text: str) -> str:
        """Name an equation, and what is linked to, in the first tab that has it only."""

        def take(found: re.Match[str]) -> str:
            key = found["equation"] or found["target"]
            if key not in self.targets:
                self.targets.add(key)
                return found[0]
            if found["target"]:
                return ""
            numbers = (r.titles[key][1:-1] for r in self.references.values() if key in r.titles)
            return rf" \tag{{{next(numbers)}}}$$"

        return re.sub(r"\$\$ \((?P<equation>\S+)\)|^\((?P<target>\S+)\)=$", take, text, flags=re.M)


def _common(columns: Sequence[list[str]]) -> list[str]:
    """Return how all lists begin."""
    count = 0
    for texts in zip(*columns, strict=False):
        if len(set(texts)) > 1:
            break
        count += 1
    return list(columns[0][:count])


def fence(mark: str, head: str, body: str) -> str:
    """Return a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(rf"{mark}{{3,}}", body)), default=2)
    around = mark * (longest + 1)
    gap = "\n" * (mark == ":")
    return f"{around}{head}\n{gap}{body}\n{around}"


def _text(text: str, classes: str) -> str:
    return fence("`", f"{{code-block}} text\n:class: {classes.strip()}\n", text)


def clean(svg: str) -> str:
    """Return a picture without what differs from run to run."""
    names: dict[str, str] = {}
    for name in RANDOM_ID.findall(svg):
        names.setdefault(name, f"id{len(names)}")
    if names:
        either = "|".join(names)
        svg = re.sub(rf"\b(?:{either})\b", lambda name: names[name[0]], svg)
    return ABOUT.sub("", svg).strip() + "\n"


def same_picture(one: bytes, other: bytes) -> bool:
    """Return whether two pictures are the same to the eye."""
    if one == other:
        return True
    a, b = (content.decode(errors="replace") for content in (one, other))
    if NUMBER.split(a) != NUMBER.split(b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    return all(x == y or abs(float(x) - float(y)) <= INVISIBLE for x, y in pairs)
