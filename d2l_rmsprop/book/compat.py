"""The first cell of a notebook whose chapter imports the book's own packages, in any edition."""

import re

from ..editions import EDITIONS

_NAMES = "|".join(("d2l", *EDITIONS))
_IMPORT = re.compile(
    rf"^[ \t]*(?:from|import)[ \t]+(?:\w[\w.]*(?:[ \t]+as[ \t]+\w+)?[ \t]*,[ \t]*)*({_NAMES})\b",
    re.M,
)
# '../data/airfoil_self_noise.dat' or its like, but neither a URL nor another machine's /data
_AIRFOIL = re.compile(r"""["']((?:\w[\w.-]*/|\.{1,2}/)+airfoil_self_noise\.dat)["']""")


def first_cell(code: str, backend: str) -> str | None:
    """Return the cell by which a chapter's old imports find this package, or None without any.

    It also puts the airfoil table where the chapter reads it by itself. ``code`` is the chapter's
    code for this framework.
    """
    names = sorted(set(_IMPORT.findall(code)))
    paths = sorted(set(_AIRFOIL.findall(code)))
    parts = []
    if names:
        modules = {name: f"d2l_rmsprop.editions.{name}" for name in names}
        if "d2l" in modules:
            modules |= {"d2l": "d2l_rmsprop", f"d2l.{backend}": f"d2l_rmsprop.{backend}"}
        imports = [f"import {module}" for module in modules.values() if module != "d2l_rmsprop"]
        entries = [f'sys.modules["{name}"] = {module}' for name, module in modules.items()]
        comment = f"# This chapter imports {' and '.join(names)}; here d2l_rmsprop stands in."
        parts.append([comment, "import sys", "", *imports, "", *entries])
    if paths:
        comment = "# It reads the airfoil table by itself, which is put there unless it is there."
        imports = ["from d2l_rmsprop.editions.airfoil import put_airfoil", ""]
        calls = [f'put_airfoil("{path}")' for path in paths]
        parts.append([comment, *imports, *calls])
    return "\n\n".join("\n".join(part) for part in parts) or None
