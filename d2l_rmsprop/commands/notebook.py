"""The command ``d2l-rmsprop notebook``."""

import os
from importlib.util import find_spec
from pathlib import Path

import click

from ..backend import BACKENDS


@click.command()
@click.argument(
    "chapters",
    metavar="CHAPTER.md...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@click.option("--backend", type=click.Choice(BACKENDS), help="The framework of the notebook.")
@click.option("--all", "every", is_flag=True, help="One for every installed framework.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file, if it ends in .ipynb; else a folder.  [default: beside the chapter]",
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
def notebook(
    chapters: tuple[Path, ...],
    backend: str | None,
    every: bool,
    output: Path | None,
    execute: bool,
    timeout: int,
    compat: bool,
) -> None:
    """Turn chapters in the book's Markdown format into Jupyter notebooks.

    In a folder they are named CHAPTER.FRAMEWORK.ipynb. A notebook that fails while it runs is kept
    as NAME.failed.ipynb, with its outputs so far.
    """
    if every == (backend is not None):
        raise click.UsageError("choose a framework with --backend, or all of them with --all.")
    one_file = output is not None and output.suffix == ".ipynb"
    if one_file and (every or len(chapters) > 1):
        raise click.UsageError("-o names a file, but there are several notebooks; name a folder.")
    if len({chapter.with_suffix("").resolve() for chapter in chapters}) < len(chapters):
        raise click.UsageError("two of the chapters would become the same notebook.")

    from ..book.notebook import ChapterError, build  # slow to import

    root = os.path.commonpath([chapter.resolve().parent for chapter in chapters])
    failed = False
    for chapter in chapters:
        folder = chapter.parent
        if output is not None:
            folder = output / chapter.resolve().parent.relative_to(root)
        try:
            names = [backend] if backend else _installed(chapter)
        except ChapterError as error:
            click.echo(error, err=True)
            failed = True
            continue
        for name in names:
            target = folder / f"{chapter.stem}.{name}.ipynb"
            if one_file and output is not None:
                target = output
            try:
                build(chapter, name, target, compat=compat, run=execute, timeout=timeout)
                click.echo(target)
            except ChapterError as error:
                click.echo(error, err=True)
                failed = True
            except OSError as error:
                why = error.strerror or error
                click.echo(f"{target}: cannot be written: {why}; choose another -o.", err=True)
                failed = True
    if failed:
        raise SystemExit(1)


def _installed(chapter: Path) -> list[str]:
    """Return the installed frameworks that the chapter has code for; stderr names the others."""
    from ..book.notebook import ChapterError, backends_of, read

    have = backends_of(read(chapter), str(chapter))
    names = [name for name in have if find_spec(name)]
    if not names:
        raise ChapterError(str(chapter), 1, f"none of {', '.join(have)} is installed; install one.")
    for why, skipped in (
        ("no code in this chapter", [name for name in BACKENDS if name not in have]),
        ("not installed", [name for name in have if name not in names]),
    ):
        if skipped:
            click.echo(f"{chapter}: skipped {', '.join(skipped)}: {why}", err=True)
    return names
