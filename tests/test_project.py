"""What the project's own files say of each other."""

import ast
import re
from pathlib import Path

import pytest

import d2l_rmsprop
from d2l_rmsprop.backend import BACKENDS

ROOT = Path(__file__).parents[1]


def test_ci_runs_the_command_that_the_readme_gives():
    (command,) = re.findall(
        r"^(python -m pip install tox && tox run -m .+)$", (ROOT / "README.md").read_text(), re.M
    )
    install, run = command.split(" && ")
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines.index(install) < lines.index(run)


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {d2l_rmsprop.__version__}\n" in citation
    assert f"\n## {d2l_rmsprop.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_framework_has_a_module_an_extra_and_a_tox_factor():
    extras = (ROOT / "pyproject.toml").read_text().partition("optional-dependencies")[2]
    for name in BACKENDS:
        assert (ROOT / "d2l_rmsprop" / f"{name}.py").is_file()
        if name != "numpy":
            assert f"\n{name} = [" in extras
            assert f"\n    {name}: {name}\n" in (ROOT / "tox.ini").read_text()


@pytest.mark.parametrize("name", ["rmsprop", "lesson/training", "lesson/data", "lesson/plotting"])
def test_what_is_written_once_names_no_framework(name):
    source = (ROOT / "d2l_rmsprop" / f"{name}.py").read_text().lower()
    assert not re.search("torch|paddle|tensorflow|mxnet|jax", source)


def test_frameworks_read_side_by_side():
    """The same functions in the same order, so that two files can be compared line by line."""
    contract = [
        "version",
        "eager_apply",
        "compiled_apply",
        "linreg_step",
        "builtin_step",
        "builtin_rmsprop",
        "mlp_gradients",
        "builtin_update",
    ]
    for name in BACKENDS:
        source = (ROOT / "d2l_rmsprop" / f"{name}.py").read_text()
        defined = re.findall(r"^def (\w+)", source, re.M)
        assert [function for function in defined if function in contract] == contract


# each may import what stands on its left; CONTRIBUTING draws the same
FLOORS = [
    "files",
    "backend",
    "rmsprop",
    "lesson",
    "experiments",
    "marking",
    "backends",
    "frameworks",
]
FLOORS += ["editions", "book", "commands"]


def floor(module):
    """Return the floor of a module's name, as it stands behind d2l_rmsprop."""
    top = module.partition(".")[0]
    return FLOORS.index("frameworks" if top in BACKENDS else top)


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "d2l_rmsprop").rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT / "d2l_rmsprop").as_posix(),
)
def test_no_import_runs_upwards(path):
    parts = path.relative_to(ROOT / "d2l_rmsprop").with_suffix("").parts
    if parts in (("__init__",), ("__main__",)):  # the package's face, and its start
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == len(parts):  # from the package itself
            for imported in [node.module] if node.module else [a.name for a in node.names]:
                if imported != "__version__":
                    assert floor(imported) <= floor(parts[0]), f"line {node.lineno}: {imported}"
