"""The wheel takes the chapters along, as d2l_rmsprop/chapters, without what is built from them."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SUFFIXES = (".md", ".png", ".svg", ".jpg")


class Chapters(BuildHookInterface):
    """Read by hatch; an editable install finds the chapters beside the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        for path in root.glob("chapters/**/*") if version == "standard" else ():
            name = path.relative_to(root).as_posix()
            if path.suffix in SUFFIXES and "/." not in name:
                build_data["force_include"][str(path)] = f"d2l_rmsprop/{name}"
