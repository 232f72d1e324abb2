"""A student's file: its code as text, taken out without running any of it."""

import contextlib
import io
import json
import re
import tokenize
from pathlib import Path

LARGEST = 10 * 2**20  # bytes of a file; one with many pictures has some 2 MB


class SubmissionError(ValueError):
    """A file that cannot be checked, in one sentence."""


def code_of(path: Path) -> list[str]:
    """Return the code of a .py file, or of each code cell of a notebook. Raises SubmissionError."""
    if path.suffix not in (".py", ".ipynb"):
        raise SubmissionError(f"{path.name} should end in .py or .ipynb.")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise SubmissionError(f"{path.name} cannot be read ({error.strerror}).") from error
    if len(content) > LARGEST:
        raise SubmissionError(
            f"{path.name} is larger than {LARGEST // 2**20} MB; clear its outputs and save it."
        )
    text = _decoded(path, content)
    return [text] if path.suffix == ".py" else _cells(path, text)


def _decoded(path: Path, content: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise SubmissionError(f"{path.name} is not UTF-8; save it as UTF-8.") from None


def _cells(path: Path, text: str) -> list[str]:
    try:
        cells = json.loads(text)["cells"]
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        joined = ["".join(source) for source in sources]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SubmissionError(f"{path.name} is not a notebook; save it again in Jupyter.") from None
    return [_without_magics(source) for source in joined]


def _without_magics(source: str) -> str:
    """Comment out Jupyter's own lines; a cell in another language is no code."""
    lines = source.splitlines()
    if any(line.startswith("%%") for line in lines[:1]):
        return ""
    return "\n".join("#" + line if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)


def language_of(text: str) -> str:
    """Return the chapters' language that a text is most likely in: its letters tell."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False)
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    vietnamese = len(
        re.findall(r"[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", text.lower())
    )
    if max(chinese, vietnamese) < 5:
        return "en"
    return "zh" if chinese > vietnamese else "vi"
