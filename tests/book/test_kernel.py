"""A notebook's run is bounded: what its cells put out, and what a notebook can hold of it."""

import nbformat
import pytest

from d2l_rmsprop.book import kernel
from d2l_rmsprop.book.notebook import ChapterError, build

LIMIT = 100_000  # bytes, instead of the real one, so that these tests are quick


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Execute cells, and return the outputs of each and the error's sentence and line, if any."""
    monkeypatch.setattr(kernel, "OUTPUT_LIMIT", LIMIT)
    monkeypatch.setattr(kernel, "MESSAGE_LIMIT", 4 * LIMIT)

    def run(*cells):
        fences = "\n".join(f"```{{.python .input}}\n{code}\n```\n" for code in cells)
        chapter, target = tmp_path / "a.md", tmp_path / "a.ipynb"
        chapter.write_text(fences)
        failure = None
        try:
            build(chapter, "numpy", target, run=True, timeout=60)
        except ChapterError as error:
            target, failure = tmp_path / "a.failed.ipynb", (error.sentence, error.line)
        assert target.stat().st_size < 3 * LIMIT
        notebook = nbformat.read(target, 4)
        nbformat.validate(notebook)
        return [cell.outputs for cell in notebook.cells], failure

    return run


@pytest.mark.parametrize(
    "code",
    [
        "while True: print('x' * 100)",
        "while True: display('x')",
        "while True: display({'image/png': 'x' * 10_000}, raw=True)",
        f"print('x' * {20 * LIMIT}); import time; time.sleep(0.3)",
        f"display({{'text/html': 'x' * {2 * LIMIT}}}, raw=True)",
        f"raise ValueError('x' * {LIMIT})",
        f"raise ValueError('x' * {20 * LIMIT})",
        f"h = display('x', display_id=True); h.update('x' * {2 * LIMIT})",
        f"try:\n    while True: print('x' * {LIMIT})\nexcept BaseException:\n    while True: pass",
    ],
)
def test_a_cell_that_puts_out_too_much_is_cut_with_a_word(execute, code):
    (before, flooded, after), failure = execute("print('before')", code, "print('after')")
    assert failure == (kernel.TOO_MUCH, 6)
    assert (before[0].text, after) == ("before\n", [])
    assert flooded[-1].text == f"[cut here: {kernel.TOO_MUCH}]\n"


@pytest.mark.parametrize(
    "code",
    [
        f"print('x' * {LIMIT // 2})",
        f"from IPython.display import clear_output\nfor _ in range(9):\n"
        f"    clear_output()\n    print('x' * {LIMIT // 2})",
        f"h = display('x', display_id=True)\nfor _ in range(9): h.update('x' * {LIMIT // 2})",
    ],
)
def test_what_is_small_at_the_end_is_kept(execute, code):
    outputs, failure = execute(code)
    assert failure is None
    assert "x" * (LIMIT // 2) in str(outputs)


def test_each_cell_has_the_whole_limit(execute):
    outputs, failure = execute(*[f"print('x' * {LIMIT // 3})"] * 4)
    assert failure is None
    assert [len(output[0].text) for output in outputs] == [LIMIT // 3 + 1] * 4


@pytest.mark.parametrize(
    "code",
    [
        "display({'image/png': 5}, raw=True)",
        "display({'text/plain': {'a': 1}}, raw=True)",
        "h = display('x', display_id=True); h.update({'text/html': [1]}, raw=True)",
    ],
)
def test_what_no_notebook_can_hold_is_a_sentence(execute, code):
    (before, shown, after), failure = execute("print('before')", code, "print('after')")
    assert failure == (kernel.NO_TEXT, 6)
    assert (before[0].text, after) == ("before\n", [])
    assert shown[-1].text == f"[cut here: {kernel.NO_TEXT}]\n"


@pytest.mark.parametrize(
    "code", ["display({'text/plain': object()}, raw=True)", "display(1, raw=1)"]
)
def test_what_the_kernel_cannot_send_is_an_error_of_the_cell(execute, code):
    _, (sentence, line) = execute("1", code)
    assert line == 6
    assert "\n" not in sentence


def test_json_is_kept_as_it_is(execute):
    data = {"application/json": {"a": [1, None]}, "application/x+json": [1], "text/plain": "x"}
    ((output,),), failure = execute(f"display({data}, raw=True)")
    assert failure is None
    assert output.data == data
