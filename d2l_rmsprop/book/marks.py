"""The marks that say which framework a part of a chapter is for; ``source`` has a catalogue."""

import difflib
import re
from typing import NamedTuple

from ..backend import BACKENDS
from .branches import Lines

TABS = {"pytorch" if name == "torch" else name: name for name in BACKENDS}
TAB_OF = {name: tab for tab, name in TABS.items()}

Names = frozenset[str]  # of tabs, also of frameworks that are not ours
ALL: Names = frozenset({"all"})

CELL_MARK = re.compile(r"\s*(?:#+\s*@tab\b|(?:#+\s*)?(?P<magic>%%)\s*tab\b)(?P<names>.*)", re.I)
SAVE_MARK = re.compile(r"\s*#\s*@save\s*$")
# translation machines put spaces in and leave backquotes out
BEGIN_TAB = re.compile(r"\s*: ?begin_tab ?: *(?:`+([^`]*)`*|([\w ,]*)$)(.*)", re.I)
END_TAB = re.compile(r"(?:^|\s): ?end_tab ?:\s*$", re.I)

DECLARATION = re.compile(r"^\s*(?:%load_ext\s+d2lbook\.tab\b|tab\.interact_select\b)", re.M)
SELECT = re.compile(r"^\s*tab\.interact_select\s*\(([^()]*)\)", re.M)
IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?import[ \t]+([^#\n]*)", re.M)
PACKAGES = {  # of the editions, see ..editions
    "utils": "mxnet",
    "gluonbook": "mxnet",
    "d2lzh": "mxnet",
    "d2lzh_pytorch": "torch",
    "d2lzh_tensorflow2": "tensorflow",
}


class Piece(NamedTuple):
    """Lines and the tabs that they are for; None: no mark says."""

    names: Names | None
    lines: Lines

    def is_for(self, tab: str) -> bool:
        return bool(self.names and (tab in self.names or "all" in self.names))


def read_names(text: str) -> Names:
    """Return the names that a mark lists."""
    return frozenset(re.findall(r"[\w-]+", text.partition("#")[0].lower()))


def misspelled(name: str) -> str | None:
    """Return the tab that an unknown name looks like."""
    close = [] if name in TABS or name == "all" else difflib.get_close_matches(name, TABS, 1, 0.8)
    return close[0] if close else None


def declared(code: str) -> Names | None:
    """Return the frameworks that a chapter's first cell declares; None for another cell."""
    if not DECLARATION.search(code):
        return None
    quoted = re.findall(r"""["']\s*(\w+)""", " ".join(SELECT.findall(code)))
    return frozenset(name.lower() for name in quoted)


def imported(code: str) -> Names:
    """Return the tabs of the frameworks that code imports, by itself or through the book."""
    found = set()
    for origin, names in IMPORT.findall(code):
        modules = [origin] if origin else re.findall(r"(?:^|,)\s*([\w.]+)", names)
        found |= {PACKAGES[name] for name in modules if name in PACKAGES}
        found.update(re.findall(r"\w+", f"{origin} {names}"))
    found.discard("numpy")  # every framework's chapters import NumPy
    return frozenset(TAB_OF[name] for name in found if name in TAB_OF)
