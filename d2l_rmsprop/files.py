"""Writing a file whole or not at all."""

import os
from pathlib import Path


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
