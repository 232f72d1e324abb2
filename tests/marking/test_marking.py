"""Every submission is judged by what it does, and none can fool, hang or touch anything."""

import io
import subprocess

import numpy as np
import pytest
from submissions import HOSTILE, RIGHT, WRONG, numpy

from d2l_rmsprop.marking import trial
from d2l_rmsprop.marking.problems import problems
from d2l_rmsprop.marking.sandbox import Sandbox, SandboxError
from d2l_rmsprop.marking.verdict import check_cells, judge


@pytest.fixture(scope="module")
def sandbox():
    from conftest import BACKENDS

    with Sandbox(list(BACKENDS)) as made:
        yield made


def judged(sandbox, backend, code, seconds=60.0):
    if backend in sandbox.broken:
        pytest.skip(sandbox.broken[backend])
    return check_cells([code], sandbox, [backend] if backend else [], seconds=seconds)


@pytest.mark.parametrize("name", RIGHT)
def test_right_work_in_any_style_is_right(sandbox, name):
    report = judged(sandbox, *RIGHT[name])
    assert (report.verdict, report.mistake) == ("right", None)


@pytest.mark.parametrize("name", WRONG)
def test_a_usual_mistake_is_named(sandbox, name):
    backend, code, sentence = WRONG[name]
    report = judged(sandbox, backend, code)
    assert report.verdict == "wrong" and sentence in report.mistake


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_one_gets_a_clear_verdict(sandbox, name):
    backend, code, verdict, sentence = HOSTILE[name]
    if sandbox.missing:
        pytest.skip(f"the sandbox here lacks: {', '.join(sandbox.missing)}")
    report = judged(sandbox, backend, code, seconds=20 if verdict == "right" else 3)
    assert report.verdict in (verdict or report.verdict) and sentence in (report.mistake or "")
    # and the next one is judged as if nothing had happened
    assert judged(sandbox, *RIGHT["layer"]).verdict == "right"


@pytest.mark.parametrize("starts", [1, 2])
def test_a_trial_that_cannot_be_shut_in_never_runs(starts, monkeypatch):
    """Its process fails at the first start, or at both: tried again, then a sentence."""
    unheld = (
        "import socket, sys; from d2l_rmsprop.marking import sandbox as s\n"
        "s._held_by_namespaces = lambda: True\n"
        "s._unshare = lambda: 1 / 0\n"
        "s.serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])"
    )
    left, popen = [unheld] * starts, subprocess.Popen

    def start(command, **options):
        place = command.index("-m") if "d2l_rmsprop.marking.sandbox" in command and left else None
        if place is not None:
            command[place : place + 2] = ["-c", left.pop()]
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    with Sandbox(["numpy"]) as sandbox:
        if starts == 1:
            assert judged(sandbox, "numpy", RIGHT["layer"][1]).verdict == "right"
        else:
            with pytest.raises(SandboxError, match=r"cannot be run here now \(.*\); try"):
                judged(sandbox, "numpy", RIGHT["layer"][1])


@pytest.mark.parametrize("folder", ["..", ".", "/tmp/", "/"])
def test_what_a_notebook_adds_to_the_path_does_not_open_the_sandbox(folder, sandbox, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    with Sandbox(["numpy"]) as other:
        assert other.missing == sandbox.missing
        assert judged(other, "numpy", RIGHT["layer"][1]).verdict == "right"


CLIPPED = {  # the norm of each parameter's gradient, and of all gradients, as d2l's grad_clipping
    "each": "g = p.grad * min(1, 1.25 / np.linalg.norm(p.grad))",
    "all": "g = p.grad * min(1, 1.25 / np.sqrt(sum((q.grad[...] ** 2).sum() for q in params)))",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("way", CLIPPED)
@pytest.mark.parametrize("seed", range(20))
def test_clipping_is_named_whatever_the_random_gradients_are(way, seed):
    steps = (
        f"{CLIPPED[way]}\n"
        "s[...] = gamma * s + (1 - gamma) * g ** 2\n"
        "p[...] -= lr * g / np.sqrt(s + eps)"
    )
    assert "clipped at 1.25;" in tried_here(numpy(steps), seed).mistake


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "name", sorted({n for n, w in WRONG.items() if w[0] == "numpy"} - {"wrong after 100 steps"})
)
def test_a_mistake_is_named_whatever_the_random_gradients_are(name):
    _, code, sentence = WRONG[name]
    for seed in range(10):
        assert sentence in tried_here(code, seed).mistake


def tried_here(code, seed):
    exec(code, scope := {})
    tried, out = problems(np.random.default_rng(seed), short=True), io.BytesIO()
    with trial.disowned():
        trial.run(out, lambda: scope["rmsprop"], tried, "numpy")
    return judge(out.getvalue(), "died", tried, "en")
