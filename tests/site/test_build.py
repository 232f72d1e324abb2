"""What docs/build.py writes, and what it says of bad input."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.chapters import FOLDER, chapters
from d2l_rmsprop.book.reader import read

pytestmark = pytest.mark.site

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "docs" / "build.py"
SITE = Path(os.environ.get("D2L_RMSPROP_SITE") or ROOT / "build" / "site")
LANGUAGES = {"en": SITE, "zh": SITE / "zh", "vi": SITE / "vi"}
ALL = [(name, language) for name, found in chapters().items() for language in found]
WEIGHT = 3_000_000  # bytes of a page, with all that it loads


@pytest.fixture(autouse=True, scope="module")
def built():
    assert (SITE / "index.html").is_file(), "there is no site yet; run: python docs/build.py"


class Html(HTMLParser):
    """A page's tags with their attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.quiet = [], [], 0
        self.feed(path.read_text("utf-8"))
        self.words = " ".join("".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.quiet += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.quiet -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.quiet:
            self.text.append(data)

    def all(self, tag, name, **having):
        return [
            attrs[name]
            for found, attrs in self.tags
            if found == tag and name in attrs and having.items() <= attrs.items()
        ]


parsed = cache(Html)  # for what no test changes


def place(name, language):
    folder = "exercises" if (FOLDER / "exercises" / language / f"{name}.md").is_file() else "."
    return LANGUAGES[language] / folder / f"{name}.html"


def installed():
    found = parsed(SITE / "rmsprop.html").all("label", "data-sync-id")
    return list(dict.fromkeys(found))


# the site as it stands


def test_every_chapter_and_exercise_has_its_page_in_every_language():
    assert len(ALL) == 21
    for name, language in ALL:
        page = parsed(place(name, language))
        assert page.all("html", "lang")[0].startswith(language)
        assert set(page.all("label", "data-sync-id")) == set(installed())
    require = os.environ.get("D2L_RMSPROP_REQUIRE")
    assert require != "all" or installed() == list(BACKENDS)


@pytest.mark.parametrize("name", chapters())
def test_a_page_has_the_same_sections_and_pictures_in_every_language(name):
    def parts(page):
        return page.all("section", "id"), page.all("img", "src"), page.all("label", "data-sync-id")

    english, *others = [parts(parsed(place(name, language))) for language in LANGUAGES]
    assert all(other == english for other in others)
    assert english[0] and len(set(english[0])) == len(english[0])


@pytest.mark.parametrize("name", ["rmsprop", "closer-look"])
def test_pictures_are_sharp_and_each_has_a_description_in_the_pages_language(name):
    said = []
    for language in LANGUAGES:
        pictures = [
            attrs for tag, attrs in parsed(place(name, language)).tags
            if tag == "img" and f"/{name}-" in attrs["src"]
        ]  # fmt: skip
        assert pictures and all(attrs["src"].endswith(".svg") for attrs in pictures)
        assert all(attrs.get("alt") for attrs in pictures)
        said.append([attrs["alt"] for attrs in pictures])
    assert all(len(set(alts)) == len(alts) for alts in zip(*said, strict=True))


def test_what_a_page_shows_of_a_run_is_what_the_notebook_put_out():
    for path in sorted(SITE.with_name(f"{SITE.name}-executed").glob("*.ipynb")):
        words = parsed(SITE / f"{path.name.partition('.')[0]}.html").words
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code":
                assert " ".join(cell.source.split()) in words
                text = "".join(o.text for o in cell.outputs if o.get("name") == "stdout")
                for line in text.splitlines():
                    assert " ".join(line.split()) in words


def test_a_page_offers_its_notebook_for_each_framework():
    for name, language in ALL:
        links = parsed(place(name, language)).all("a", "href", **{"class": "download"})
        names = [link.rpartition("/")[2] for link in links]
        assert names == [f"{name}.{backend}.ipynb" for backend in installed()]


def secrets(path):
    """Return the lines of code and the sentences that only the worked answers have."""
    text = path.read_text("utf-8")
    found = set()
    for block in read(text, str(path)).blocks:
        if block.nbgrader and block.nbgrader["solution"]:
            tabs = {tab for piece in block.pieces for tab in piece.names}
            for tab in {"pytorch" if tab == "all" else tab for tab in tabs}:
                kept = {line for _, line in block.lines(tab, student=True)}
                lines = [line for _, line in block.lines(tab) if line not in kept]
                if block.kind == "answer":
                    lines = re.split(r"(?<=[.。])\s*|[$`*]", " ".join(lines))
                found.update(" ".join(line.split()) for line in lines)
    return {line for line in found if len(line) > 20 or (len(line) > 10 and not line.isascii())}


def test_no_worked_answer_is_anywhere_on_the_site():
    answers = set().union(*(secrets(path) for path in FOLDER.glob("exercises/*/*.md")))
    assert len(answers) > 100
    public = [path.read_text("utf-8") for path in FOLDER.glob("??/*.md")]
    public += [path.read_text("utf-8") for path in (ROOT / "docs" / "pages").rglob("*.md")]
    public = " ".join(" ".join(public).split())
    answers = {line for line in answers if line not in public}
    for path in SITE.rglob("*"):
        if path.suffix == ".html":
            text = parsed(path).words
        elif path.suffix == ".ipynb":
            text = " ".join(c.source for c in nbformat.read(path, 4).cells)
            assert "SOLUTION" not in text, path
        elif path.suffix in (".js", ".json", ".txt", ".md", ".inv", ".svg"):
            text = path.read_text("utf-8", "replace")
        else:
            continue
        text = " ".join(text.split())
        assert [line for line in answers if line in text] == [], path


def loaded(page):
    """Return the files that a page loads, and those that its style sheets name."""
    html = parsed(page)
    links = html.all("script", "src") + html.all("img", "src")
    links += html.all("link", "href", rel="stylesheet")
    found = {page}
    for link in links:
        file = (page.parent / link.partition("?")[0]).resolve()
        found.add(file)
        if file.suffix == ".css":
            for url in re.findall(r"url\([\"']?([^)\"'#?]+)", file.read_text("utf-8")):
                if not url.startswith("data:"):
                    found.add((file.parent / url).resolve())
    return {file for file in found if file.is_file()}


def test_a_page_weighs_under_3_mb_with_all_that_it_loads():
    weights = {
        path.relative_to(SITE).as_posix(): sum(file.stat().st_size for file in loaded(path))
        for path in SITE.rglob("*.html")
    }
    heaviest = max(weights, key=weights.get)
    print(f"{heaviest}: {weights[heaviest] / 1e6:.2f} MB")
    assert weights[heaviest] < WEIGHT, heaviest


# bad input: a small site of its own

INDEX = "# Start\n\n```{image} _pictures/compare.svg\n:alt: losses\n```\n\n"
INDEX += "```{toctree}\none\nexercises/2-two\n```\n"
ONE = """# One

See :numref:`sec_a`.

## A $x$
:label:`sec_a`

```{.python .input}
#@tab numpy
x = 1
```

```{.python .input}
#@tab pytorch
x = 2
```

```{.python .input}
#@tab numpy,pytorch
print(f'x is {x}')
```

![A picture](../img/my picture.svg)
"""
TWO = """# Two

```{.python .input grade_id=two .solution}
### BEGIN SOLUTION
secret = 'never shown'
### END SOLUTION
```
"""


class Small:
    """A site of one chapter and one exercise, for NumPy unless told otherwise."""

    def __init__(self, folder):
        self.folder, self.site = folder, folder / "site"
        for language in LANGUAGES:
            self.write(f"chapters/{language}/one.md", ONE)
            self.write(f"chapters/exercises/{language}/2-two.md", TWO)
            self.write(f"pages/{language}/index.md", INDEX)
        self.write("chapters/img/my picture.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def start(self, *options, backends=("numpy",), **environment):
        command = [sys.executable, BUILD, "-o", self.site, "--chapters", self.folder / "chapters"]
        command += ["--pages", self.folder / "pages"]
        command += [part for name in backends for part in ("--backend", name)]
        return subprocess.Popen(
            [*command, *options],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, *options, **keywords):
        """Return the exit code, and what was said."""
        process = self.start(*options, **keywords)
        said = "".join(process.communicate())
        assert "Traceback" not in said
        return process.returncode, said

    def files(self):
        paths = (path for path in self.folder.rglob("*") if path.suffix != ".pyc")  # Python's own
        return {path: path.read_bytes() for path in paths if path.is_file()}


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small site that is built."""
    small = Small(tmp_path_factory.mktemp("small"))
    code, said = small.build(backends=["numpy", "numpy"])
    assert code == 0, said
    assert re.search(r"site: \d+ pages, 6 notebooks, \d+\.\d MB\n", said)
    return small


@pytest.fixture
def again(finished, tmp_path):
    """A copy of that site, to be built anew."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    small = Small(tmp_path / "copy")
    return small


def test_a_small_site_has_its_pages_and_no_answer(finished):
    chinese = Html(finished.site / "zh" / "one.html")
    assert "x is 1" in chinese.words
    assert chinese.all("img", "src") == ["_images/my%20picture.svg"]
    assert (finished.site / "zh" / "_images" / "my picture.svg").is_file()
    assert "never shown" not in str(
        [content for path, content in finished.files().items() if finished.site in path.parents]
    )


def test_an_old_site_is_replaced_as_a_whole_and_with_what_runs_now(again):
    again.write("site/stale.html", "old")
    for path in again.folder.glob("site-executed/*"):
        path.write_text("{", "utf-8")  # as after a crash
    again.write("chapters/en/one.md", ONE.replace("x = 1", "x = 7"))
    again.write("chapters/vi/one.md", ONE.replace("## A", "## Before\n\nWords.\n\n## A"))
    code, said = again.build()
    assert code == 0, said
    assert not (again.site / "stale.html").exists()
    assert "x is 7" in Html(again.site / "one.html").words
    ids = [Html(again.site / place / "one.html").all("section", "id") for place in ("", "zh", "vi")]
    assert ids == [["one", "a-x"], ["one", "a-x"], ["one", "before", "a-x"]]
    assert "x is 1" in Html(again.site / "vi" / "one.html").words  # whose code is another now


def test_a_chapter_that_fails_on_one_framework_says_so_on_its_page(again, tmp_path):
    again.write("stubs/jax.py", "raise RuntimeError('jax is broken today')")
    path = os.pathsep.join([str(again.folder / "stubs"), os.environ.get("PYTHONPATH", "")])
    backends = ("numpy", "torch", "jax")
    pytest.importorskip("torch")
    text = ONE.replace("x = 2", "x = 1 / 0") + "\n```{.python .input}\n#@tab jax\nx = 3\n```\n"
    for language in LANGUAGES:
        again.write(f"chapters/{language}/one.md", text)
    code, said = again.build(backends=backends, PYTHONPATH=path)
    assert code == 1
    assert "one.md:15: ZeroDivisionError: division by zero (PyTorch)" in said
    assert "left out JAX: jax is installed but does not work here" in said
    for language, word in [("en", "With PyTorch this cell failed"), ("zh", "这个单元格出错")]:
        page = Html(again.site / ("" if language == "en" else language) / "one.html")
        assert word in page.words and "ZeroDivisionError: division by zero" in page.words
        assert "x is 1" in page.words and "jax is broken today" in page.words
        assert "pip install 'd2l-rmsprop[jax]'" in page.words  # which curly quotes would break
        assert set(page.all("label", "data-sync-id")) == {"numpy", "torch"}


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "pages/zh/index.md": ("# Start", "# S\n\n[](#nowhere)", "'nowhere'"),
            "pages/en/index.md": ("# Start", "# S\n\n[a](one.md#b)", "'b'"),
            "pages/vi/index.md": ("# Start", "# S\n\n{py:func}`~d2l_rmsprop.f`", "d2l_rmsprop.f"),
            "chapters/en/one.md": ("See ", "[See](#section-9) ", "'section-9'"),
            "site": ("", "", "the site has 4 warnings, so"),
        },
        {
            "pages/vi/index.md": (
                "# Start",
                '# S\n\n<a href="one.html#b">a</a>, <img alt="" srcset="a.svg, b.svg 2x">',
                "vi/index.html: the link to one.html#b leads to no section of that page.",
            ),
            "site": ("", "", "the site has 3 dead links, so"),
        },
        {"chapters/en/one.md": ("See ", "```{.python .input}\n", "en/one.md:3: this fence")},
    ],
)
def test_a_link_to_nowhere_fails_the_build_and_the_old_site_stays(again, wrong):
    before = again.files()
    for file, (old, new, _) in wrong.items():
        if file != "site":
            again.write(file, before[again.folder / file].decode().replace(old, new, 1))
    code, said = again.build()
    assert code == 1
    assert [words for _, _, words in wrong.values() if words not in said] == []
    now = again.files()
    assert [path for path in before if again.site in path.parents] == [
        path for path in now if again.site in path.parents and now[path] == before.get(path)
    ]


@pytest.mark.parametrize("kind", ["foreign", "file", "loop", "read-only"])
def test_a_folder_that_is_not_ours_to_replace_is_refused_at_once(small, kind):
    if kind == "foreign":
        small.write("site/thesis.tex", "mine")
    elif kind == "file":
        small.write("site", "mine")
    elif kind == "loop":
        small.site.symlink_to(small.site)
    else:
        small.write("site/.d2l-rmsprop-site", "")
        small.site.chmod(0o555)
    before = small.files()
    code, said = small.build()
    assert code == 1 and "-o" in said.splitlines()[-1]
    assert small.files() == before


def test_without_any_framework_there_is_no_site(small):
    small.write("stubs/jax.py", "raise ImportError('jax is broken today')")
    path = os.pathsep.join([str(small.folder / "stubs"), os.environ.get("PYTHONPATH", "")])
    before = small.files()
    code, said = small.build(backends=["jax"], PYTHONPATH=path)
    assert code == 1 and "jax is broken today" in said
    assert said.endswith("Error: so there is no framework left; name another --backend.\n")
    assert small.files() == before


def test_sphinx_missing_is_one_sentence_with_the_command_that_installs_it(small):
    small.write("stubs/sitecustomize.py", HIDE)
    path = os.pathsep.join([str(small.folder / "stubs"), os.environ.get("PYTHONPATH", "")])
    code, said = small.build(PYTHONPATH=path)
    assert code == 1
    assert said.splitlines() == [
        "Error: myst_parser is not installed; run: python -m pip install -e '.[all,site]'"
    ]


HIDE = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "myst_parser" else find(name, *more)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_the_old_site_and_no_process(again, number):
    before = again.files()
    again.write("chapters/en/one.md", ONE.replace("x = 1", "import time\ntime.sleep(100)"))
    process = again.start()
    deadline = time.monotonic() + 60
    while not list(again.folder.glob(".site-*/run/*/chapter.md")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)  # the kernel is there
    process.send_signal(number)
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == 128 + number
    assert said.splitlines()[-1].endswith(f"{again.site} is as it was.")
    now = again.files()
    assert all(now[path] == before[path] for path in before if again.site in path.parents)
    assert not list(again.folder.glob(".site-*"))
    ours = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(again.folder) not in ours
