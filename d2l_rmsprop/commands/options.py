"""The options that commands share: what to train on and how, and files to write."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ..files import FileError, target

_OPTIONS = [
    click.option(
        "--data",
        default="stand-in",
        show_default=True,
        type=click.Choice(["stand-in", "airfoil", "linear"]),
        help="What to train on.",
    ),
    click.option("--eps", default=1e-6, show_default=True, help="Epsilon, at least 0."),
    click.option(
        "--epochs",
        default=2,
        show_default=True,
        type=click.IntRange(1, 10**6),
        help="Passes over the data.",
    ),
    click.option(
        "--batch-size",
        default=10,
        show_default=True,
        type=click.IntRange(min=1),
        help="Examples in a minibatch.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        help="Seed of the start and of the order.",
    ),
]


def training_options(command: Callable) -> Callable:
    """Give a command the options --data, --eps, --epochs, --batch-size and --seed."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class OutputFile(click.ParamType):
    """A file to be written at the end, tried at the start, before any training.

    Two options of a command may not name one file: by a link, or in letters of another case.
    """

    name = "file"

    def __init__(self, suffixes: Sequence[str] = ()) -> None:
        self.suffixes = suffixes  # the endings that it may have

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            self.fail(f"{value!r} should end in one of: {', '.join(self.suffixes)}.", param, ctx)
        try:
            found = str(target(path))
        except FileError as error:
            self.fail(str(error), param, ctx)
        if param and ctx:
            named = ctx.meta.setdefault(__name__, {})
            # one name in a folder that knows no case, or no difference of composed letters
            other = named.setdefault(unicodedata.normalize("NFC", found).casefold(), param)
            if other is not param:
                self.fail(
                    f"{value!r} is the file of {other.opts[0]} too; name another.", param, ctx
                )
        return path
