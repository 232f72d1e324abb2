"""From a chapter and its executed notebooks to a page of the site."""

import json
import re
from pathlib import Path

import pytest
from nbformat import v4

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.notebook import ChapterError, convert
from d2l_rmsprop.book.pages import (
    WORDS,
    headings,
    page,
    same_picture,
    section_ids,
    slugs,
)

CHAPTERS = Path(__file__).parents[2] / "chapters"
EXERCISES = sorted(CHAPTERS.glob("exercises/*/*.md"))
ITEM = re.compile(r"^(:{3,})\{tab-item\} ([^\n]+)\n:sync: (\w+)\n\n(.*?)\n\1$", re.M | re.S)
SET = re.compile(r"^(:{3,})\{tab-set\}\n:sync-group: tab\n:class: (\w+)\n\n(.*?)\n\1$", re.M | re.S)


def cell(code, info="{.python .input}"):
    return f"```{info}\n{code}\n```\n\n"


def out(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def drawn(svg):
    return v4.new_output("display_data", data={"image/svg+xml": svg, "image/png": "aGk="})


def executed(text, backend, outputs=()):
    """Return a chapter's notebook, its code cells with these outputs."""
    notebook = convert(text, backend).notebook
    code = [c for c in notebook.cells if c.cell_type == "code"]
    for made, found in zip(code, outputs, strict=False):
        made.outputs = list(found)
    return notebook


def made(text, outputs=None, **options):
    """Return the page of a chapter; ``outputs``: of each framework's code cells."""
    outputs = outputs or {"numpy": [], "jax": []}
    notebooks = {backend: executed(text, backend, found) for backend, found in outputs.items()}
    return page(text, notebooks, "one", **options)


def sets(text):
    """Return the sets of tabs of a page after the notebooks', each {framework: what it has}."""
    first, *others = [
        {key: body for _, _, key, body in ITEM.findall(found[2])} for found in SET.findall(text)
    ]
    assert SET.search(text)[2] == "downloads" and all("download" in b for b in first.values())
    return others


def outside(text):
    """Return what stands on a page for all frameworks."""
    return re.sub(r"\n{2,}", "\n\n", SET.sub("", text)).strip()


# what stands once and what in tabs


def test_what_is_the_same_stands_once():
    text = "# One\n\nWords.\n\n" + cell("#@tab all\nx = 1\nprint(x)")
    found = made(text, {name: [[out("1\n")]] for name in BACKENDS}).text
    assert sets(found) == []
    assert outside(found) == (
        "# One\n\nWords.\n\n```python\nx = 1\nprint(x)\n```\n\n"
        "```{code-block} text\n:class: output stdout\n\n1\n```"
    )


def test_neighbours_that_differ_share_a_set_of_tabs_in_the_order_of_the_frameworks():
    text = cell("#@tab jax\nimport jax") + "\n" + cell("#@tab numpy\nimport numpy")
    text += ":begin_tab:`jax`\nJust so.\n:end_tab:\n\nFor all.\n\n"
    text += cell("#@tab numpy\na") + cell("#@tab jax\nb")
    found = made(text).text
    first, second = sets(found)
    assert list(first) == ["numpy", "jax"]
    assert first == {
        "numpy": "```python\nimport numpy\n```",
        "jax": "```python\nimport jax\n```\n\nJust so.",
    }
    assert second == {"numpy": "```python\na\n```", "jax": "```python\nb\n```"}
    assert outside(found) == "For all."


@pytest.mark.parametrize("language", WORDS)
def test_a_framework_that_has_nothing_says_so_instead_of_showing_anothers(language):
    text = cell("#@tab jax\n1") + "Then.\n\n" + cell("#@tab numpy,jax\n2")
    found = made(text, {"numpy": [[]], "jax": [[], [out("only here")]]}, language=language).text
    code, outputs = sets(found)
    assert code["numpy"] == WORDS[language]["nothing"].format(framework="NumPy")
    assert outputs["numpy"] == WORDS[language]["no output"].format(framework="NumPy")
    assert "only here" in outputs["jax"]


def test_code_that_is_the_same_stands_once_above_outputs_that_differ():
    text = cell("#@tab all\nprint(x)") + "After."
    found = made(text, {"numpy": [[out("1\n")]], "jax": [[out("2\n")]]}).text
    (outputs,) = sets(found)
    assert "print" not in str(outputs) and ("\n1\n" in outputs["numpy"], "\n2\n" in outputs["jax"])
    assert outside(found) == "```python\nprint(x)\n```\n\nAfter."


def test_an_output_that_is_the_same_stands_once_below_code_that_differs():
    text = cell("#@tab numpy\na") + cell("#@tab jax\nb")
    found = made(text, {"numpy": [[out("1")]], "jax": [[out("1")]]}).text
    assert all("output" not in body for body in sets(found)[0].values())
    assert outside(found).count(":class: output") == 1


def test_a_stream_is_whole_however_it_came_and_has_no_colours():
    text = cell("#@tab all\n1")
    pieces = [out("a"), out("b\n\x1b[31mc\x1b[0m"), out("why", "stderr")]
    found = made(text, {"numpy": [pieces], "jax": [[out("ab\nc\n"), out("why", "stderr")]]}).text
    assert sets(found) == []
    assert ":class: output stdout\n\nab\nc\n```" in found
    assert ":class: output stderr\n\nwhy\n```" in found


def test_a_warning_is_the_same_wherever_its_cell_lay():
    text = cell("#@tab all\n1")
    said = [f"/tmp/ipykernel_{n}/{n}77.py:1: UserWarning: careful\n" for n in (12, 345)]
    found = made(text, {"numpy": [[out(said[0])]], "jax": [[out(said[1])]]}).text
    assert sets(found) == [] and "\n\nUserWarning: careful\n```" in found


def test_one_framework_alone_needs_no_tabs_but_its_notebook():
    text = cell("#@tab numpy\na") + ":begin_tab:`numpy`\nb\n:end_tab:\n" + cell("#@tab jax\nc")
    assert outside(made(text, {"numpy": [[out("1")]]}).text).startswith("```python\na\n```")


def test_code_and_outputs_that_look_like_fences_stay_inside_theirs():
    text = "````{.python .input}\n#@tab numpy\nx = '''\n```\n:::::\n'''\n````\n\n"
    text += cell("#@tab jax\n1") + cell("#@tab numpy,jax\n2")
    found = made(text, {"numpy": [[], [out("```\n")]], "jax": [[], [out("````\n")]]}).text
    assert "\n````python\nx = '''\n```\n:::::\n'''\n````\n" in found
    assert "\n````{code-block} text\n:class: output stdout\n\n```\n````\n" in found
    assert "\n`````{code-block} text\n:class: output stdout\n\n````\n`````\n" in found
    assert "\n::::::{tab-item} NumPy\n" in found and "\n:::::::{tab-set}\n" in found


def test_the_same_chapter_gives_the_same_bytes():
    text = (CHAPTERS / "en" / "rmsprop.md").read_text("utf-8")
    assert made(text) == made(text)


# the notebooks to take along, and what is not there


def test_each_framework_offers_its_notebook():
    found = made(cell("1"), {name: [] for name in BACKENDS}, downloads="../notebooks").text
    links = re.findall(r'<a class="download" download href="([^"]+)">', found)
    assert links == [f"../notebooks/one.{name}.ipynb" for name in BACKENDS]


def test_a_framework_that_is_left_out_is_named_with_the_reason():
    why = "not [installed](#x); run: pip install 'a[b]' `c`."
    found = made("# One\n\n" + cell("1"), left_out={"mxnet": why}).text
    assert f"MXNet is left out: `` {why} ``" in found
    assert ":sync: mxnet" not in found


def test_a_cell_that_failed_says_so_in_its_tab_and_those_after_it_are_not_run():
    text = "# One\n\n" + "".join(cell(f"#@tab all\nprint({i})") for i in range(3))
    good = [[out(str(i))] for i in range(3)]
    error = ChapterError("one.md", 9, "ValueError: *too* large")
    jax = [good[0], [out("so far")], []]
    found = made(text, {"numpy": good, "jax": jax}, failures={"jax": error}).text
    second, third = sets(found)
    assert "so far" in second["jax"]
    word = "With JAX this cell failed, so those after it were not run: "
    assert word + "` ValueError: *too* large `" in second["jax"]
    assert third["jax"] == "This cell was not run with JAX."
    assert "failed" not in second["numpy"] and "\n2\n" in third["numpy"]


# pictures

SVG = """<?xml version="1.0"?>
<svg><metadata><dc:date>{date}</dc:date></metadata>
<path id="m{hash}" d="M {x} 20" clip-path="url(#p{hash})"/><clipPath id="p{hash}"/></svg>"""


def svg(x=1.0, hash="0123456789", date="2026"):
    return SVG.format(x=x, hash=hash, date=date)


@pytest.mark.parametrize(
    ("other", "files"),
    [
        (svg(), ["one-1.svg"]),
        (svg(hash="fedcba9876", date="2027"), ["one-1.svg"]),
        (svg(x=1.04), ["one-1.svg"]),
        (svg(x=1.06), ["one-1.svg", "one-1-jax.svg"]),
        (svg().replace("M 1.0 20", "M 1.0 20 L 2 2"), ["one-1.svg", "one-1-jax.svg"]),
    ],
)
def test_pictures_that_look_the_same_are_one_file(other, files):
    text = cell("#@tab all\n1", '{.python .input alt="A \\"line\\": #1"}'.replace('\\"', "'"))
    found = made(text, {"numpy": [[drawn(svg())]], "jax": [[drawn(other)]]})
    assert list(found.pictures) == files
    assert all(b"<svg" in content and b"202" not in content for content in found.pictures.values())
    assert len(sets(found.text)) == len(files) - 1
    assert found.text.count("{image}") == len(files)
    assert re.findall(r":alt: (.+)", found.text) == [json.dumps("A 'line': #1")] * len(files)


def test_a_third_framework_takes_the_picture_that_it_looks_like():
    text = cell("#@tab all\n1") * 2
    pictures = {"numpy": svg(1), "torch": svg(5), "jax": svg(5.01)}
    found = made(text, {n: [[drawn(p)], [drawn(svg(9))]] for n, p in pictures.items()})
    assert list(found.pictures) == ["one-1.svg", "one-1-torch.svg", "one-2.svg"]
    assert "one-1-torch.svg" in sets(found.text)[0]["jax"]


def test_two_pictures_of_a_cell_have_files_of_their_own():
    found = made(cell("#@tab all\n1"), {"numpy": [[drawn(svg(1)), drawn(svg(9))]]})
    assert list(found.pictures) == ["one-1.svg", "one-1-2.svg"]


def test_numbers_in_an_id_or_a_colour_are_no_coordinates():
    assert not same_picture(b'<a href="#DejaVu-31"/>', b'<a href="#DejaVu-32"/>')
    assert not same_picture(b'<a fill="#1f77b4"/>', b'<a fill="#1f77b5"/>')


# words, links, equations

REFERRING = """# Eins
:label:`sec_one`

See :numref:`sec_two`, :eqref:`eq_a` and :citet:`A.B.2012` :cite:`C.ea.2020`; it costs \\$5.

## Zwei $\\gamma$
:label:`sec_two`

$$a = b.$$
:eqlabel:`eq_a`
"""


def test_references_become_links_that_sphinx_checks_to_the_english_ids():
    found = outside(made(REFERRING + cell("1"), ids=["one", "two-gamma"]).text)
    link = r"[Zwei $\gamma$](#two-gamma), {eq}`eq_a` and"
    assert f"See {link} A and B (2012) (C et al., 2020); it costs \\$5." in found
    assert "$$a = b.$$ (eq_a)" in found
    assert ":label:" not in found and ":eqlabel:" not in found


def test_a_figure_that_is_linked_to_has_a_target():
    text = "![A figure](a.svg)\n:label:`fig_a`\n\nSee :numref:`fig_a`.\n\n" + cell("1")
    found = outside(made(text).text)
    assert "(fig_a)=\n\n![A figure](a.svg)" in found and "See [A figure](#fig_a)." in found


def test_a_picture_of_the_chapters_own_is_found_from_the_pages_folder():
    found = outside(made("![A](../img/a.svg)\n\n" + cell("1"), folder="../chapters/en").text)
    assert "![A](../chapters/img/a.svg)" in found


def test_an_equation_in_tabs_has_its_name_once_and_its_number_in_each():
    tab = ":begin_tab:`numpy,jax`\n$$a$$\n:eqlabel:`eq_a`\n:end_tab:\n\n"
    text = tab + ":begin_tab:`jax`\nb\n:end_tab:\n\n" + cell("#@tab numpy,jax\n1")
    text += cell("#@tab mxnet\n1") + "See :eqref:`eq_a`."
    found = made(text, {"numpy": [], "jax": [], "mxnet": []}).text
    assert found.count("(eq_a)") == 1 and found.count(r"$$a \tag{1}$$") == 1


def test_a_heading_in_a_tab_is_no_section():
    text = "# A\n\n:begin_tab:`jax`\n## B\n\nWords.\n:end_tab:\n\n## C\n\n"
    text += cell("#@tab jax\n# no heading") + cell("#@tab numpy\n2")
    assert section_ids(text) == ["a", "c"]
    found = made(text).text
    assert "**B**" in sets(found)[0]["jax"] and headings(found) == ["A", "C"]


def test_ids_are_words_of_the_title_and_no_two_the_same():
    titles = ["What $\\gamma$ Remembers", "Là-bas", "2 Steps", "A", "a!", "曲线", "曲线", "A 2"]
    ids = ["what-gamma-remembers", "la-bas", "section-2-steps", "a", "a-2", "section", "section-2"]
    assert slugs(titles) == [*ids, "a-2-2"]


def test_comments_stay_behind_and_other_fences_are_no_directives():
    text = "<!-- to be\nwritten -->\n\n``` {.bash}\nls\n```\n\n~~~\n{x}\n~~~\n\n" + cell("1")
    assert outside(made(text).text).startswith("```bash\nls\n```\n\n~~~\n{x}\n~~~")


@pytest.mark.parametrize("name", ["rmsprop", "closer-look"])
@pytest.mark.parametrize("language", ["zh", "vi"])
def test_a_translation_has_the_sections_of_the_english_page(name, language):
    english, text = [
        (CHAPTERS / folder / f"{name}.md").read_text("utf-8") for folder in ("en", language)
    ]
    ids = section_ids(english)
    found = made(text, language=language, ids=ids).text
    assert len(headings(found)) == len(ids) == len(headings(english))
    assert set(re.findall(r"\]\(#([^)]+)\)", found)) <= set(ids)


def test_every_language_has_every_word():
    assert {len(words) for words in WORDS.values()} == {len(WORDS["en"])}
    for key, words in WORDS["en"].items():
        fields = set(re.findall(r"\{\w+\}", words))
        assert all(fields == set(re.findall(r"\{\w+\}", w[key])) for w in WORDS.values())


# exercises

REGION = "    ### BEGIN SOLUTION\n    y = 2 * x\n    ### END SOLUTION\n"
ANSWERED = (
    cell(f"#@tab all\ndef f(x):\n{REGION}    return y", "{.python .input grade_id=a .solution}")
    + cell("#@tab all\nmine = 2", "{.python .input grade_id=b .solution}")
    + cell("#@tab all\ncheck(f)", "{.python .input grade_id=c points=1}")
    + cell("Since it doubles.", "{.markdown .input grade_id=d .solution points=1}")
)


def test_an_exercise_is_shown_without_its_answers():
    found = page(ANSWERED, {"numpy": None, "jax": None}, "one").text
    assert "2 * x" not in found and "mine" not in found and "doubles" not in found
    assert "SOLUTION" not in found and "check(f)" in found
    stub = "    # YOUR CODE HERE\n    raise NotImplementedError()\n    return y"
    assert stub in found and "\nYOUR ANSWER HERE" in found


def test_a_students_notebook_differs_in_the_answers_alone():
    with_answers = convert(ANSWERED, "jax").notebook
    without = convert(ANSWERED, "jax", student=True).notebook
    assert [c.metadata for c in without.cells] == [c.metadata for c in with_answers.cells]
    assert [c.source for c in without.cells] == [
        "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n    return y",
        "# YOUR CODE HERE\nraise NotImplementedError()",
        "check(f)",
        "YOUR ANSWER HERE",
    ]


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_no_line_of_a_worked_answer_is_on_its_page(path):
    text = path.read_text("utf-8")
    notebooks = dict.fromkeys(BACKENDS)
    found = " ".join(page(text, notebooks, path.stem, language=path.parent.name).text.split())
    regions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.S)
    answers = re.findall(r"^```\{\.markdown [^\n]*\n(.*?)\n```$", text, re.M | re.S)
    assert regions and answers
    lines = [line for region in regions for line in region.split("\n")]
    sentences = [s for answer in answers for s in re.split(r"(?<=[.。])\s*", answer)]
    secret = [" ".join(words.split()) for words in (*lines, *sentences)]
    assert [words for words in secret if len(words) > 12 and words in found] == []
