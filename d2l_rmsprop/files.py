"""Writing a file whole or not at all."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIGURES = (".png", ".svg", ".pdf")


def write(path: str | Path, content: bytes) -> None:
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


def write_figure(path: Path, draw: Callable[[], Any]) -> None:
    """Write the Matplotlib figure that ``draw()`` returns, in the format that the name asks for."""
    import matplotlib

    matplotlib.use("agg")
    picture = io.BytesIO()
    draw().savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    write(path, picture.getvalue())
