"""A translation of a chapter or an exercise is the same chapter: only the words differ."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from d2l_rmsprop.book.reader import ALT, read

CHAPTERS = Path(__file__).parents[2] / "chapters"
EXERCISES = CHAPTERS / "exercises"
TRANSLATIONS = sorted(p for p in CHAPTERS.rglob("*.md") if p.parent.name != "en")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.S)
ROLE = re.compile(r":(\w+):`([^`]+)`")
PICTURES = {"rmsprop": 7, "closer-look": 4}


def tokens(text, kind):
    return [t for t in MarkdownIt("commonmark").parse(text) if t.type == kind]


def prose(text):
    lines = text.split("\n")
    for fence in reversed(tokens(text, "fence")):
        first, end = fence.map
        lines[first:end] = lines[first + 1 : end - 1] if is_answer(fence) else []
    return "\n".join(lines)


def is_answer(fence):
    return ".markdown" in fence.info


def code_cells(text):
    text = re.sub(r"^language = '\w+'$", "language = ''", text, flags=re.M)
    fences = tokens(text, "fence")
    # what its picture shows is translated
    infos = [ALT.sub("alt", fence.info) for fence in fences]
    contents = ["" if is_answer(fence) else fence.content for fence in fences]
    return list(zip(infos, contents, strict=True))


def heading_levels(text):
    return [heading.tag for heading in tokens(text, "heading_open")]


def formulas(text):
    return FORMULA.findall(prose(text))


def labels_citations_and_tabs(text):
    return ROLE.findall(prose(text))


def names_of_code(text):
    return re.findall(r"`[^`]+`", ROLE.sub("", prose(text)))


def numbers(text):
    return sorted(re.findall(r"\d+(?:\.\d+)*", FORMULA.sub("", ROLE.sub("", prose(text)))))


def list_items(text):
    return [item.info for item in tokens(text, "list_item_open")]  # "1" in a numbered list


def formulas_of_each_exercise(text):
    exercises = re.findall(r"^1\. .+(?:\n(?!\n|1\. ).+)*", prose(text), re.M)
    return [FORMULA.findall(exercise) for exercise in exercises]


@pytest.mark.parametrize("place", [CHAPTERS, EXERCISES], ids=lambda place: place.name)
def test_every_language_has_every_chapter(place):
    languages = [f for f in place.iterdir() if f.is_dir() and f != EXERCISES]
    chapters = {folder.name: {p.name for p in folder.glob("*.md")} for folder in languages}
    assert {"en", "zh", "vi"} <= set(chapters)
    assert chapters == dict.fromkeys(chapters, chapters["en"])


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda p: f"{p.parent.name}-{p.stem}")
@pytest.mark.parametrize(
    "part",
    [
        code_cells,
        heading_levels,
        formulas,
        labels_citations_and_tabs,
        names_of_code,
        numbers,
        list_items,
        formulas_of_each_exercise,
    ],
)
def test_a_translation_shares_with_the_english_chapter_its(part, path):
    english = part((path.parents[1] / "en" / path.name).read_text(encoding="utf-8"))
    assert english or EXERCISES in path.parents  # an exercise may have no list, or no citation
    assert part(path.read_text(encoding="utf-8")) == english


def test_every_section_has_a_label_of_its_own_and_references_stay_within_the_chapter():
    everywhere = []
    for path in sorted((CHAPTERS / "en").glob("*.md")):
        lines = path.read_text(encoding="utf-8").split("\n")
        after = [lines[i + 1] for i, line in enumerate(lines) if re.match(r"##? ", line)]
        labelled = [line.startswith(":label:") for line in after]
        assert labelled[:5] == [True] * 5  # all but the summary, exercises and references
        assert labelled == sorted(labelled, reverse=True)
        roles = ROLE.findall("\n".join(lines))
        labels = [key for role, key in roles if role in ("label", "eqlabel")]
        assert {key for role, key in roles if role in ("numref", "eqref")} <= set(labels)
        everywhere += labels
    assert len(everywhere) == len(set(everywhere))


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_of_a_chapter_is_described_in_each_language(name):
    for path in CHAPTERS.glob(f"??/{name}.md"):
        blocks = read(path.read_text(encoding="utf-8"), str(path)).blocks
        assert len([block for block in blocks if block.alt]) == PICTURES[name], path


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_code_holds_no_words_to_translate(path):
    code = "".join(content for _, content in code_cells(path.read_text(encoding="utf-8")))
    assert code.isascii()
    assert [
        line for line in code.splitlines() if re.match(r"\s*#(?!@tab|## (BEGIN|END) )", line)
    ] == []
