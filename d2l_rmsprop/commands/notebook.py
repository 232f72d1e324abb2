"""The command ``d2l-rmsprop notebook``."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from .. import files
from ..backend import BACKENDS
from .console import console

SUFFIXES = (".md", ".markdown", ".txt", "")  # of a chapter
WORTH_PROCESSES = 100  # notebooks: fewer take less time than starting processes


class Source(NamedTuple):
    """A chapter, and the folder of its notebooks."""

    path: Path
    folder: Path
    ours: bool  # one of this package's


class Job(NamedTuple):
    """One notebook to make."""

    source: Source
    backend: str
    target: Path


class Options(NamedTuple):
    """What the jobs of one command share."""

    if_it_has_code: bool  # for the framework; else a chapter without is refused
    execute: bool
    timeout: int
    compat: bool
    student: bool = False


class Result(NamedTuple):
    """What became of a job: its notebook, or why it was refused; neither: there is no code."""

    content: bytes = b""  # its notebook is to be written
    made: bool = False
    refused: str = ""
    signal: int = 0  # that stopped it
    slips: tuple[str, ...] = ()  # what looks wrong in the chapter


@click.command()
@click.argument("chapters", metavar="CHAPTER...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List this package's chapters and exercises.")
@click.option("--lang", help="The language of a chapter of this package.  [default: en]")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(BACKENDS),
    help="The framework of the notebook; repeatable.",
)
@click.option("--all", "every", is_flag=True, help="One for every installed framework.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file, if it ends in .ipynb; else a folder.  [default: beside a file of yours; the "
    "current folder for a chapter of this package]",
)
@click.option("--execute", is_flag=True, help="Run the notebook and keep its outputs.")
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="Seconds that one cell may run.",
)
@click.option(
    "--compat/--no-compat",
    default=True,
    show_default=True,
    help="Let a chapter's imports of d2l, or of an older edition's package, find this one.",
)
@click.option("--student", is_flag=True, help="Leave the worked answers of an exercise out.")
def notebook(
    chapters: tuple[str, ...],
    listed: bool,
    lang: str | None,
    backends: tuple[str, ...],
    every: bool,
    output: Path | None,
    execute: bool,
    timeout: int,
    compat: bool,
    student: bool,
) -> None:
    """Turn chapters in the book's Markdown format into Jupyter notebooks.

    A CHAPTER is a name that --list shows, or else a file, or a folder with its .md files; write
    ./NAME for a file of the name of a chapter. In a folder the notebooks are named
    CHAPTER.FRAMEWORK.ipynb. One that fails or is stopped while it runs is kept as
    NAME.failed.ipynb, with its outputs so far.
    """
    if listed:
        _list()
        return
    if not chapters:
        raise click.UsageError("name a chapter; --list shows those of this package.")
    if every == bool(backends):
        raise click.UsageError("choose a framework with --backend, or all of them with --all.")
    if student and execute:
        raise click.UsageError("without the answers there is nothing to run; drop --execute.")
    one_file = output is not None and output.suffix == ".ipynb"
    sources, refused = _sources(chapters, lang, None if one_file else output)
    several = len(sources) + len(refused) > 1
    names = list(dict.fromkeys(backends)) or [name for name in BACKENDS if find_spec(name)]
    if one_file and (every or several or len(names) > 1):
        raise click.UsageError("-o names a file, but there are several notebooks; name a folder.")
    jobs = [
        Job(source, name, source.folder / f"{source.path.stem}.{name}.ipynb")
        for source in sources
        for name in names
    ]
    if one_file and output is not None:
        jobs = [job._replace(target=output) for job in jobs]

    from ..book.notebook import broken, missing_jupyter  # slow to import

    if execute and (why := missing_jupyter()):
        raise click.ClickException(why)
    for sentence in refused:
        click.echo(sentence, err=True)
    if every:
        _say_skipped(sources, names)
        for name, why in (broken(names) if execute else {}).items():
            refused.append(f"skipped {name}: {why}")
            click.echo(refused[-1], err=True)
            jobs = [job for job in jobs if job.backend != name]
    made, without, slips = 0, 0, list[str]()
    try:
        for job, result in _results(jobs, Options(every, execute, timeout, compat, student)):
            for slip in result.slips:
                if slip not in slips:
                    slips.append(slip)
                    click.echo(slip, err=True)
            if result.made:
                made += 1
                if execute or not several:
                    click.echo(job.target)
            elif not result.refused:
                without += 1
            elif result.refused not in refused:  # one word for what is wrong on every framework
                refused.append(result.refused)
                click.echo(result.refused, err=True)
            if result.signal:
                raise SystemExit(128 + result.signal)
    except KeyboardInterrupt as stop:
        stop.kept = f"{made} notebooks are made"  # type: ignore[attr-defined]
        raise
    if several:
        done = "executed" if execute else "converted"
        click.echo(
            f"{len(sources)} chapters: {made} notebooks {done}, {without} without code for the "
            f"framework, {len(refused)} refused"
        )
    elif every and not made and not refused:
        raise click.ClickException("the chapter has no code for an installed framework.")
    if refused:
        raise SystemExit(1)


def _list() -> None:
    from ..book.chapters import chapters, title

    found = chapters()
    width = max(map(len, found))
    for name, languages in found.items():
        click.echo(f"{name:{width}}  {' '.join(languages)}  {title(languages['en'])}")


def _sources(
    arguments: Sequence[str], lang: str | None, output: Path | None
) -> tuple[list[Source], list[str]]:
    """Return the chapters that are named, each once, and a sentence for each that is none."""
    from ..book.chapters import chapters

    ours, found, refused = chapters(), [], []
    paths: list[tuple[Path, Path]] = []  # with the folder that was named
    for name in arguments:
        path = Path(name)
        if name in ours:
            languages = ours[name]
            if (lang or "en") not in languages:
                choice = ", ".join(languages)
                raise click.UsageError(
                    f"{name} is not there in {lang!r}; --lang is one of: {choice}."
                )
            found.append(Source(languages[lang or "en"], output or Path(), True))
        elif os.path.isdir(name):
            inside = [p for p in sorted(path.rglob("*.md")) if not _hidden(p.relative_to(path))]
            paths += [(p, path) for p in inside]
            if not inside:
                refused.append(f"{name}: no .md file is in this folder.")
        elif not os.path.lexists(name):
            choice = ", ".join(ours)
            raise click.UsageError(
                f"there is no file {name!r}, nor a chapter; choose one of: {choice}."
            )
        elif os.path.isfile(name) and path.suffix.lower() in SUFFIXES:
            paths.append((path, path.parent))
        else:
            refused.append(f"{name}: this is no chapter; name a file that ends in .md.")
    if lang and paths:
        raise click.UsageError(f"--lang is for this package's chapters; {paths[0][0]} is a file.")
    root = Path(os.path.commonpath([os.path.abspath(base) for _, base in paths] or [os.sep]))
    for path, _ in paths:
        folder = path.parent
        if output is not None:
            folder = output / Path(os.path.abspath(folder)).relative_to(root)
        found.append(Source(path, folder, False))
    once: dict[str, Source] = {}
    for source in found:
        other = once.setdefault(os.path.abspath(source.folder / source.path.stem), source)
        if not os.path.samefile(other.path, source.path):
            raise click.UsageError(
                f"{other.path} and {source.path} would become the same notebook; rename one."
            )
    return list(once.values()), refused


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _say_skipped(sources: Sequence[Source], installed: Sequence[str]) -> None:
    """Name the frameworks that get no notebook: of one chapter, or of all together."""
    from ..book.notebook import ChapterError, backends_of, read

    have, start = list(BACKENDS), ""
    if len(sources) == 1:
        path = str(sources[0].path)
        try:
            have, start = backends_of(read(path), path), f"{path}: "
        except ChapterError:
            return  # which is said when it is converted
    for why, skipped in (
        ("no code in this chapter", [name for name in BACKENDS if name not in have]),
        ("not installed", [name for name in have if name not in installed]),
    ):
        if skipped:
            click.echo(f"{start}skipped {', '.join(skipped)}: {why}", err=True)


def _results(jobs: Sequence[Job], options: Options) -> Iterator[tuple[Job, Result]]:
    """Give each job with its result, in order, as they are done; on a screen with a bar."""
    from rich.progress import MofNCompleteColumn, Progress

    results: Iterable[Result] = (_make(job, options) for job in jobs)
    if not options.execute and len(jobs) >= WORTH_PROCESSES:
        results = _in_processes(jobs, options)
    stderr = console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    shown = stderr.is_terminal and len(jobs) > 1
    with Progress(*columns, console=stderr, transient=True, disable=not shown) as progress:
        bar = progress.add_task("notebooks", total=len(jobs))
        for job, result in zip(jobs, results, strict=True):
            progress.advance(bar)
            # here, not in a process that a stop may end while it writes
            if result.content:
                result = _write(job.target, result.content)._replace(slips=result.slips)
            yield job, result


def _in_processes(jobs: Sequence[Job], options: Options) -> Iterator[Result]:
    from joblib import Parallel, delayed, parallel_config

    from ..experiments.sweep import follow, workers_environment

    together = len({job.backend for job in jobs})  # a chapter's: one process reads it, and once
    begin = {"initializer": follow, "initargs": (os.getpid(),)}
    with workers_environment(), parallel_config("loky", n_jobs=-1, **begin):
        parallel = Parallel(batch_size=together, return_as="generator")
        yield from parallel(delayed(_make)(job, options) for job in jobs)


def _make(job: Job, options: Options) -> Result:
    """Return a converted notebook, still to be written, or execute and write it."""
    from ..book.source import ChapterWarning

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ChapterWarning)
        result = _made(job, options)
    slips = [w for w in found if issubclass(w.category, ChapterWarning)]
    return result._replace(slips=tuple(f"{w.filename}:{w.lineno}: {w.message}" for w in slips))


def _made(job: Job, options: Options) -> Result:
    from ..book.notebook import ChapterError, Stopped, backends_of, build, convert_file, read

    source, backend, target = job
    path = str(source.path)
    try:
        if options.if_it_has_code and backend not in backends_of(read(path), path):
            return Result()
        if not options.execute:
            compat, student = options.compat, options.student
            made = convert_file(path, backend, target, compat=compat, student=student)
            return Result(content=made.bytes())
        home = target.parent if source.ours else None
        compat, timeout = options.compat, options.timeout
        build(path, backend, target, compat=compat, run=True, timeout=timeout, home=home)
    except Stopped as stop:
        return Result(refused=str(stop), signal=stop.signal)
    except ChapterError as error:
        return Result(refused=str(error))
    except OSError as error:
        return _unwritable(target, error)
    return Result(made=True)


def _write(target: Path, content: bytes) -> Result:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write(target, content)
    except OSError as error:
        return _unwritable(target, error)
    return Result(made=True)


def _unwritable(target: Path, error: OSError) -> Result:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    why = cause.strerror or cause
    return Result(refused=f"{target}: cannot be written: {why}; choose another -o.")
