"""Writing a file whole or not at all."""

import io
import os
import tempfile
from pathlib import Path

import click

FIGURES = (".png", ".svg", ".pdf")


def write(path, content):
    """Write bytes to a file; whatever goes wrong, a file that was there stays as it was."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a device or a pipe has no whole
        path.write_bytes(content)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_figure(path, draw):
    """Write the Matplotlib figure that ``draw()`` returns, in the format that the name asks for."""
    import matplotlib

    matplotlib.use("agg")
    picture = io.BytesIO()
    draw().savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    write(path, picture.getvalue())


class OutputFile(click.ParamType):
    """A file to be written at the end, tried at the start, before any training."""

    name = "file"

    def __init__(self, suffixes=None):
        self.suffixes = suffixes  # the endings that it may have

    def convert(self, value, param, ctx):
        path = Path(value)
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            self.fail(f"{value!r} should end in one of: {', '.join(self.suffixes)}.", param, ctx)
        try:
            if path.is_dir():
                raise OSError("it is a folder")
            with path.open("ab") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
                return path
        except OSError as error:
            reason = error.strerror or error
            self.fail(f"{value!r} cannot be written ({reason}); name another file.", param, ctx)
