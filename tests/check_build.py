"""What `tox -e build` checks of DIST: the archives' contents, and the wheel without the repository.

python tests/check_build.py DIST
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

LANGUAGES = ("en", "zh", "vi")


def main(dist: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expect(names, "tests/conftest.py", "tests/test_rmsprop.py", "chapters/en/rmsprop.md", "tox.ini")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for language in LANGUAGES:
        expect(names, f"d2l_rmsprop/chapters/{language}/rmsprop.md")
        expect(names, f"d2l_rmsprop/chapters/exercises/{language}/1-write-rmsprop.md")
    expect(names, "d2l_rmsprop/py.typed")
    unwanted = [name for name in names if name.endswith(".ipynb") or name.startswith("tests/")]
    assert not unwanted, f"the wheel should not have {unwanted}"
    print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB, {len(names)} files")
    with tempfile.TemporaryDirectory() as folder:
        use(wheel, Path(folder))


def expect(names: set[str], *wanted: str) -> None:
    missing = [name for name in wanted if name not in names]
    assert not missing, f"missing: {missing}"


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment and run its commands in an empty folder."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    work = folder / "work"
    work.mkdir()

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    run(python, "-m", "pip", "install", "-q", wheel)
    d2l = folder / "venv" / "bin" / "d2l-rmsprop"
    run(d2l, "compare", "--json", "curves.json")
    (numpy, *others) = json.loads((work / "curves.json").read_text())
    assert numpy["scratch"]["losses"][-1] < 0.25 and all(row["error"] for row in others)
    assert "rmsprop" in run(d2l, "notebook", "--list")
    for language in LANGUAGES:
        run(d2l, "notebook", "rmsprop", "--lang", language, "--backend", "numpy", "-o", language)
        run(d2l, "notebook", "1-write-rmsprop", "--lang", language, "--backend", "torch")
        assert list((work / language).glob("*.ipynb"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
