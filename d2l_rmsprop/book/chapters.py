"""The chapters and exercises that come with the package, by name and language."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
FOLDER = _PACKAGE / "chapters"
if not FOLDER.is_dir():  # a clone has them beside the package
    FOLDER = _PACKAGE.parent / "chapters"


def chapters(folder: Path | None = None) -> dict[str, dict[str, Path]]:
    """Return {name: {language: file}}, the chapters before the exercises."""
    found: dict[str, dict[str, Path]] = {}
    for pattern in ("*/*.md", "exercises/*/*.md"):
        for path in sorted((folder or FOLDER).glob(pattern)):
            found.setdefault(path.stem, {})[path.parent.name] = path
    return found


def title(path: Path) -> str:
    """Return a chapter's first heading."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return next((line[2:].strip() for line in lines if line.startswith("# ")), path.stem)
