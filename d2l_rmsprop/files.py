"""Writing a file whole or not at all."""

import contextlib
import io
import os
import stat
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIGURES = (".png", ".svg", ".pdf")


class FileError(OSError):
    """A file cannot be written; ``strerror`` says why, in a few words."""

    def __init__(self, path: str | Path, error: Exception) -> None:
        why = str(getattr(error, "strerror", None) or error)
        super().__init__(f"{str(path)!r} cannot be written ({why}); name another file.")
        self.strerror = why


def target(path: str | Path) -> Path:
    """Return the file that a path leads to, through links; FileError if it cannot be written.

    A device and a pipe have no whole; a file with a second name (a hard link) would keep its old
    content under that name; a read-only file is refused to the administrator too.
    """
    try:
        found = Path(path).resolve()
        if found.is_symlink():
            raise OSError("its links lead in a circle")
        if not found.exists():
            with tempfile.TemporaryFile(dir=found.parent):
                return found
        status = found.stat()
        if stat.S_ISDIR(status.st_mode):
            raise OSError("it is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a device, a pipe or a socket")
        if _is_the_output(status):
            raise OSError("what is printed goes there")
        if status.st_nlink > 1:
            raise OSError("it has a second name, a hard link")
        if not status.st_mode & 0o222:
            raise OSError("it is read-only")
        with found.open("ab"), tempfile.TemporaryFile(dir=found.parent):
            return found
    except (OSError, RuntimeError) as error:  # a RuntimeError: links in a circle, before 3.13
        raise FileError(path, error) from error


def _is_the_output(status: os.stat_result) -> bool:
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(status, os.fstat(stream)):
                return True
    return False


def write(path: str | Path, content: bytes) -> None:
    """Write bytes to a file; whatever goes wrong, a file that was there stays as it was.

    A link is followed, and the mode and the owner of a file that was there are kept. Raises
    FileError.
    """
    found = target(path)
    part = found.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if found.exists():
            old = found.stat()
            if hasattr(os, "chown"):
                with contextlib.suppress(OSError):  # the administrator's right
                    os.chown(part, old.st_uid, old.st_gid)
            part.chmod(stat.S_IMODE(old.st_mode))
        os.replace(part, found)
    except OSError as error:
        raise FileError(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def headless() -> None:
    """Let Matplotlib draw into files only, whatever MPLBACKEND says."""
    asked = os.environ.pop("MPLBACKEND", None)  # Matplotlib does not import with a wrong one
    try:
        import matplotlib

        matplotlib.use("agg")
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked


def write_figure(path: Path, draw: Callable[[], Any]) -> None:
    """Write the Matplotlib figure that ``draw()`` returns, in the format that the name asks for."""
    headless()
    picture = io.BytesIO()
    draw().savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    write(path, picture.getvalue())
