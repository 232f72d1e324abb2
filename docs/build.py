"""Build the site: the chapters, executed for every installed framework, in three languages.

    python docs/build.py [-o build/site] [--backend jax ...]

It executes the English chapters for each framework, two at a time; makes their pages (see
``d2l_rmsprop.book.pages``) and the notebooks to take along; lays docs/pages beside them; lets
Sphinx make a site of each language; checks every link within; and only then puts the new site in
the place of the old one. What ran before, of the same code on the same machine, is taken from
build/site-executed.

Exit code 1: a chapter failed on a framework, which its page says too; or there is no new site.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

DOCS = Path(__file__).parent
INSTALL = "python -m pip install -e '.[all,site]'"

try:
    import click
    import nbformat

    from d2l_rmsprop import files
    from d2l_rmsprop.backend import BACKENDS
    from d2l_rmsprop.book import notebook, pages
    from d2l_rmsprop.book.chapters import FOLDER, chapters
    from d2l_rmsprop.book.notebook import ChapterError
    from d2l_rmsprop.commands.console import console
    from d2l_rmsprop.commands.program import Program
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed; run: {INSTALL}")
except KeyboardInterrupt:
    sys.exit(130)

SPHINX = (
    *("sphinx", "myst_parser", "sphinx_design", "furo", "sphinx_copybutton", "sphinx_click"),
    *("sphinxcontrib.katex", "py_mini_racer"),
)
PACKAGE = (sys.executable, "-m", "d2l_rmsprop")
MARK = ".d2l-rmsprop-site"  # a file in what this command built
AT_ONCE = 2  # processes


Run = tuple[str, str, str]  # a chapter's name, its language and the framework


class Chapter(NamedTuple):
    """One chapter or exercise in one language; ``have``: the frameworks that it has code for."""

    name: str
    language: str
    path: Path
    exercise: bool
    text: str
    have: list[str]

    @property
    def page(self) -> str:
        return f"exercises/{self.name}" if self.exercise else self.name

    def code(self, backend: str) -> list[str]:
        """Return the code that a framework runs."""
        cells = notebook.convert(self.text, backend, file=str(self.path)).notebook.cells
        return [cell.source for cell in cells if cell.cell_type == "code"]


class Job(NamedTuple):
    """A process to run: what it makes, in words, its command, and the file of what it says."""

    what: str
    command: Sequence[str | Path]
    said: Path


class Executed(NamedTuple):
    """What a run put out, and what stopped it."""

    notebook: nbformat.NotebookNode
    failure: ChapterError | None = None


@click.group(cls=Program, invoke_without_command=True, subcommand_metavar="", help=__doc__)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DOCS.parent / "build" / "site",
    help="The site's folder.  [default: build/site]",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(BACKENDS),
    help="A framework of the site; repeatable.  [default: every installed one]",
)
@click.option("--chapters", "source", type=click.Path(path_type=Path), default=FOLDER, hidden=True)
@click.option(
    "--pages", "own_pages", type=click.Path(path_type=Path), default=DOCS / "pages", hidden=True
)
def main(output: Path, backends: tuple[str, ...], source: Path, own_pages: Path) -> None:
    if missing := [name for name in SPHINX if not find_spec(name)]:
        raise click.ClickException(f"{missing[0]} is not installed; run: {INSTALL}")
    output = Path(os.path.realpath(output))
    check_place(output)
    try:
        with tempfile.TemporaryDirectory(prefix=".site-", dir=output.parent) as work:
            frameworks = list(dict.fromkeys(backends or BACKENDS))
            failed = Site(output, Path(work), source, own_pages, frameworks).build()
    except ChapterError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt as stop:
        stop.kept = f"{output} is as it was"  # type: ignore[attr-defined]
        raise
    if failed:
        raise SystemExit(1)


def check_place(output: Path) -> None:
    """Refuse a folder that is not ours to replace, or cannot be written."""
    if os.path.lexists(output):
        if not output.is_dir():
            raise click.ClickException(f"{output} is no folder; name another with -o.")
        if any(output.iterdir()) and not (output / MARK).is_file():
            raise click.ClickException(
                f"{output} holds what this command did not build; name another folder with -o."
            )
        if not output.stat().st_mode & 0o222:
            raise click.ClickException(f"{output} is read-only; name another folder with -o.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent):
            pass
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written ({error.strerror}); name another folder with -o."
        ) from None


class Site:
    """One build, in a folder of its own."""

    def __init__(
        self, output: Path, work: Path, source: Path, own_pages: Path, backends: Sequence[str]
    ) -> None:
        self.output, self.work, self.own_pages = output, work, own_pages
        self.kept = output.with_name(f"{output.name}-executed")
        self.screen = console(stderr=True)
        self.start = time.monotonic()
        self.failed: list[str] = []
        self.chapters = list(read_chapters(source))
        self.english = {c.name: c for c in self.chapters if c.language == "en"}
        self.left_out = notebook.broken(backends)
        self.backends = [name for name in backends if name not in self.left_out]
        for name, why in self.left_out.items():
            self.say(f"left out {pages.label(name)}: {why}")
        if not self.backends:
            raise click.ClickException("so there is no framework left; name another --backend.")

    def say(self, words: str) -> None:
        self.screen.print(f"{time.monotonic() - self.start:5.0f} s  {words}", markup=False)

    def build(self) -> list[str]:
        """Build the site and put it in its place; return what failed on the way."""
        executed = self.execute()
        for language in pages.WORDS:
            self.write_sources(language, executed)
        new = self.work / "site"
        self.run_sphinx(new)
        notebooks = self.write_notebooks(new)
        shutil.copy(DOCS / "explorer.html", new)
        if dead := list(dead_links(new)):
            raise click.ClickException("\n".join([*dead, self.no_site(len(dead), "dead link")]))
        (new / MARK).touch()
        replace(self.output, new)
        for sentence in self.failed:
            self.screen.print(sentence, markup=False)
        made = [path for path in self.output.rglob("*") if path.is_file()]
        count = sum(path.suffix == ".html" for path in made)
        size = sum(path.stat().st_size for path in made) / 1e6
        click.echo(f"{self.output}: {count} pages, {notebooks} notebooks, {size:.1f} MB")
        return self.failed

    def no_site(self, count: int, what: str) -> str:
        return f"the site has {count} {what}{'s' * (count > 1)}, so {self.output} stays as it was."

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, int]]:
        """Run processes, two at a time; give the number of each that ends, and its exit code."""
        running: dict[int, subprocess.Popen[bytes]] = {}
        waiting = list(enumerate(jobs))
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    number, job = waiting.pop(0)
                    job.said.parent.mkdir(parents=True, exist_ok=True)
                    with job.said.open("wb") as said:
                        running[number] = subprocess.Popen(
                            [str(part) for part in job.command],
                            stdout=said,
                            stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL,
                        )
                for number, process in list(running.items()):
                    if process.poll() is not None:
                        del running[number]
                        self.say(jobs[number].what)
                        yield number, process.returncode
                time.sleep(0.05)
        finally:
            for process in running.values():
                process.terminate()  # a notebook's process ends its kernel
            for process in running.values():
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()

    # executing

    def execute(self) -> dict[Run, Executed]:
        """Return what every chapter puts out on every framework.

        A translation with the same code has what the English chapter puts out. The picture of
        ``compare`` is drawn along the way.
        """
        found: dict[Run, Executed] = {}
        same: dict[Run, Run] = {}
        runs: list[tuple[Run, Chapter, Path]] = []  # with the place where its notebook is kept
        for chapter in sorted(self.chapters, key=lambda c: c.language != "en"):
            for backend in self.run_on(chapter):
                run = (chapter.name, chapter.language, backend)
                code = chapter.code(backend)
                english = self.english.get(chapter.name, chapter)
                kept = self.kept / f"{'.'.join(run)}.{key(code)}.ipynb"
                if english is not chapter and code == english.code(backend):
                    same[run] = (chapter.name, "en", backend)
                elif before := read_kept(kept):
                    found[run] = Executed(before)
                else:
                    runs.append((run, chapter, kept))
        *jobs, compare = [*(self.job(run, chapter) for run, chapter, _ in runs), self.compare()]
        for number, ended in self.run([*jobs, compare]):
            if number == len(runs):
                self.drawn(ended, compare.said)
                continue
            run, chapter, kept = runs[number]
            found[run] = self.result(run, chapter, jobs[number].said)
            if found[run].failure is None:
                keep(self.place(run), kept)
        return found | {run: found[english] for run, english in same.items()}

    def place(self, run: Run) -> Path:
        return self.work / "run" / ".".join(run) / "chapter.ipynb"

    def job(self, run: Run, chapter: Chapter) -> Job:
        """Execute a copy of a chapter, in a folder of its own."""
        target = self.place(run)
        target.parent.mkdir(parents=True)
        copy = target.with_suffix(".md")
        copy.write_text(chapter.text, "utf-8")
        command = *PACKAGE, "notebook", copy, "--execute", "--backend", run[-1], "-o", target
        return Job(f"executed {' '.join(run)}", command, target.with_suffix(".txt"))

    def result(self, run: Run, chapter: Chapter, said: Path) -> Executed:
        target = self.place(run)
        if target.is_file():
            return Executed(nbformat.read(target, 4))
        copy, stopped = target.with_suffix(".md"), target.with_suffix(".failed.ipynb")
        text = said.read_text("utf-8", "replace")
        found = re.search(rf"^{re.escape(str(copy))}:(\d+): (.+)$", text, re.M)
        if not found or not stopped.is_file():
            raise click.ClickException(f"{' '.join(run)}: {last_line(said)}")
        failure = ChapterError(str(chapter.path), int(found[1]), found[2].partition("; the out")[0])
        self.failed.append(f"{failure} ({pages.label(run[-1])})")
        return Executed(nbformat.read(stopped, 4), failure)

    def compare(self) -> Job:
        figure = self.work / "compare.svg"
        backends = [part for name in self.backends for part in ("--backend", name)]
        command = *PACKAGE, "compare", "--figure", figure, *backends
        return Job("drew compare", command, figure.with_suffix(".txt"))

    def drawn(self, code: int, said: Path) -> None:
        if not said.with_suffix(".svg").is_file():
            raise click.ClickException(f"compare drew nothing: {last_line(said)}")
        if code:
            self.failed.append(f"compare: {last_line(said)}")

    def run_on(self, chapter: Chapter) -> list[str]:
        """Return the frameworks that execute a chapter."""
        return [] if chapter.exercise else [b for b in self.backends if b in chapter.have]

    def shown(self, chapter: Chapter) -> list[str]:
        """Return the frameworks of a page: all that it has code for, where none is installed."""
        return [name for name in self.backends if name in chapter.have] or chapter.have

    # Sphinx

    def write_sources(self, language: str, executed: dict[Run, Executed]) -> None:
        """Write what Sphinx makes a language's pages from."""
        folder = self.work / "source" / language
        shutil.copytree(self.own_pages / language, folder)
        (folder / "_pictures").mkdir()
        picture = (self.work / "compare.svg").read_text("utf-8")
        (folder / "_pictures" / "compare.svg").write_text(pages.clean(picture), "utf-8")
        ids = {}
        for path in folder.rglob("*.md"):
            name = path.relative_to(folder)
            original = self.own_pages / "en" / name
            english, own = (
                pages.slugs(pages.headings(page.read_text("utf-8"))) if page.is_file() else []
                for page in (original, path)
            )
            ids[name.with_suffix("").as_posix()] = section_ids(own, english)
        for chapter in self.chapters:
            if chapter.language != language:
                continue
            english = self.english.get(chapter.name, chapter)
            sections = section_ids(
                *(pages.section_ids(each.text, str(each.path)) for each in (chapter, english))
            )
            runs = {
                backend: executed.get((chapter.name, language, backend))
                for backend in self.shown(chapter)
            }
            target = folder / f"{chapter.page}.md"
            target.parent.mkdir(exist_ok=True)
            page = pages.page(
                chapter.text,
                {backend: run.notebook if run else None for backend, run in runs.items()},
                chapter.name,
                language=language,
                file=str(chapter.path),
                ids=sections,
                failures={b: run.failure for b, run in runs.items() if run and run.failure},
                left_out={b: why for b, why in self.left_out.items() if b in chapter.have},
                downloads="../notebooks" if chapter.exercise else "notebooks",
                folder=quote(os.path.relpath(chapter.path.parent, target.parent)),
            )
            target.write_text(page.text, "utf-8")
            for file, content in page.pictures.items():
                (target.parent / file).write_bytes(content)
            ids[chapter.page] = sections
        (folder / "section_ids.json").write_text(json.dumps(ids))

    def run_sphinx(self, new: Path) -> None:
        """Make the HTML of each language; a warning of Sphinx's is an error."""
        mocked = [name for name in BACKENDS if name in self.left_out or not find_spec(name)]
        jobs = []
        for language, words in pages.WORDS.items():
            target = new if language == "en" else new / language
            command: list[str | Path] = [sys.executable, "-m", "sphinx"]
            command += ["-b", "html", "-q", "-W", "--keep-going"]
            command += ["-c", DOCS, "-d", self.work / "trees" / language]
            command += ["-D", f"language={words['sphinx']}", "-D", f"html_title={words['title']}"]
            if mocked:  # or autodoc could not import what the reference tells of
                command += ["-D", f"autodoc_mock_imports={','.join(mocked)}"]
            command += [self.work / "source" / language, target]
            jobs.append(Job(f"built {language}", command, self.work / f"{language}.txt"))
        warnings = []
        for number, code in self.run(jobs):
            if code:
                said = jobs[number].said.read_text("utf-8", "replace")
                lines = said.replace(f"{self.work / 'source'}{os.sep}", "").splitlines()
                telling = re.compile(r"WARNING: |ERROR: |^\s*\w+(Error|Exception): ")
                about = [line.strip() for line in lines if telling.search(line)]
                warnings += about or lines
        if warnings:
            what = self.no_site(len(warnings), "warning")
            raise click.ClickException("\n".join([*warnings, what]))

    def write_notebooks(self, new: Path) -> int:
        """Write the notebooks to take along, those of the exercises without the answers."""
        count = 0
        for chapter in self.chapters:
            folder = new if chapter.language == "en" else new / chapter.language
            (folder / "notebooks").mkdir(parents=True, exist_ok=True)
            for backend in self.shown(chapter):
                target = folder / "notebooks" / f"{chapter.name}.{backend}.ipynb"
                made = notebook.convert_file(
                    chapter.path, backend, target, student=chapter.exercise
                )
                target.write_bytes(made.bytes())
                count += 1
        return count


def read_chapters(source: Path) -> Iterator[Chapter]:
    """Give the chapters and exercises of a folder, each in its languages."""
    for name, languages in chapters(source).items():
        for language, path in languages.items():
            if language in pages.WORDS:
                text = notebook.read(path)
                have = notebook.backends_of(text, str(path))
                exercise = path.parents[1].name == "exercises"
                yield Chapter(name, language, path, exercise, text, have)


def section_ids(own: list[str], english: list[str]) -> list[str]:
    """Return the ids of a page's sections: those of the English page, if it has as many."""
    return english if len(english) == len(own) else own


def key(code: Sequence[str]) -> str:
    """Return what tells whether code puts out the same: it, the package, and all that it uses."""
    package = Path(notebook.__file__).parents[1]
    versions = {f"{d.name} {d.version}" for d in importlib.metadata.distributions()}
    parts = [json.dumps(code), sys.version, platform.node(), *sorted(versions)]
    parts.append(os.environ.get("D2L_RMSPROP_DATA", ""))
    parts += [path.read_text("utf-8") for path in sorted(package.rglob("*.py"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def keep(made: Path, cache: Path) -> None:
    """Keep an executed notebook, in the place of one of other code, unless it warned."""
    content = made.read_bytes()
    if b"Warning" in content:
        return
    cache.parent.mkdir(exist_ok=True)
    name = cache.name.removesuffix(".ipynb").rpartition(".")[0]
    for old in cache.parent.glob(f"{name}.*.ipynb"):
        old.unlink()
    files.write(cache, content)


def read_kept(cache: Path) -> nbformat.NotebookNode | None:
    """Return a kept notebook, if it is there and whole."""
    try:
        return nbformat.read(cache, 4)
    except (OSError, ValueError):
        return None


def last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "the process ended without a word."


def replace(output: Path, new: Path) -> None:
    """Put a folder in the place of another, or leave that as it was."""
    old = new.with_name("old")  # which goes with the folder of the build
    try:
        if output.exists():
            output.rename(old)
        new.rename(output)
    except BaseException:
        if old.exists() and not output.exists():
            old.rename(output)
        raise


class _Links(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.ids.add(value)
            elif value and name in ("href", "src", "poster", "data"):
                self.links.add(value)
            elif value and name == "srcset":
                self.links.update(re.findall(r"(?:^|,)\s*([^\s,]+)", value))


def dead_links(site: Path) -> Iterator[str]:
    """Give a sentence for each link within the site that leads nowhere."""
    found = {path: _Links(path.read_text("utf-8")) for path in site.rglob("*.html")}
    for path, page in found.items():
        for link in sorted(page.links):
            if re.match(r"[a-z]+:|//", link):
                continue
            place, _, fragment = link.partition("#")
            place = unquote(place.partition("?")[0])
            target = (path.parent / place).resolve() if place else path
            target = target / "index.html" if target.is_dir() else target
            name = path.relative_to(site).as_posix()
            if not target.is_file():
                yield f"{name}: the link to {link} leads to no file of the site."
                continue
            ids = found[target].ids if target in found else {fragment}
            if fragment and "=" not in fragment and unquote(fragment) not in ids:
                yield f"{name}: the link to {link} leads to no section of that page."


if __name__ == "__main__":
    main()
