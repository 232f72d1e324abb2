"""Every submission is judged by what it does, and none can fool, hang or touch anything."""

import pytest
from submissions import HOSTILE, RIGHT, WRONG

from d2l_rmsprop.marking.sandbox import Sandbox
from d2l_rmsprop.marking.verdict import check_cells


@pytest.fixture(scope="module")
def sandbox():
    from conftest import BACKENDS

    with Sandbox(list(BACKENDS)) as made:
        yield made


def judged(sandbox, backend, code, seconds=3.0):
    if backend in sandbox.broken:
        pytest.skip(sandbox.broken[backend])
    return check_cells([code], sandbox, [backend] if backend else [], seconds=seconds)


@pytest.mark.parametrize("name", RIGHT)
def test_right_work_in_any_style_is_right(sandbox, name):
    report = judged(sandbox, *RIGHT[name], seconds=10)
    assert (report.verdict, report.mistake) == ("right", None)


@pytest.mark.parametrize("name", WRONG)
def test_a_usual_mistake_is_named(sandbox, name):
    backend, code, sentence = WRONG[name]
    report = judged(sandbox, backend, code, seconds=10)
    assert report.verdict == "wrong" and sentence in report.mistake


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_one_gets_a_clear_verdict(sandbox, name):
    backend, code, verdict, sentence = HOSTILE[name]
    if sandbox.missing:
        pytest.skip(f"the sandbox here lacks: {', '.join(sandbox.missing)}")
    report = judged(sandbox, backend, code, seconds=20 if verdict == "right" else 3)
    assert report.verdict in (verdict or report.verdict) and sentence in (report.mistake or "")
    # and the next one is judged as if nothing had happened
    assert judged(sandbox, *RIGHT["layer"], seconds=10).verdict == "right"
