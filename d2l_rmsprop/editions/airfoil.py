"""The airfoil table for a chapter that reads it by itself."""

from pathlib import Path

from ..files import write
from ..lesson.data import DataError, download


def put_airfoil(path: str) -> None:
    """Copy the airfoil table to where a chapter reads it by itself; a file that is there stays.

    ``path`` is the chapter's own, from the working folder. Raises DataError where the real table
    cannot be had or ``path`` cannot be written.
    """
    target = Path(path)
    if target.exists():
        return
    table = Path(download("airfoil"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, table.read_bytes())
    except OSError as error:
        raise DataError(
            f"this chapter reads {path}, which cannot be written ({error.strerror}); run it in "
            f"another folder, or copy {table} there."
        ) from error
    print(f"{path}: put here for this chapter, which reads it.")
