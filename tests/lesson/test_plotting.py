"""The pictures hold what was asked for, in a script and in a notebook."""

import io
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import framework

from d2l_rmsprop.lesson.plotting import Accumulator, Animator, Timer, plot, train_2d
from d2l_rmsprop.rmsprop import rmsprop_2d


def points(line):
    return np.column_stack(line.get_data()).tolist()


def test_plot_draws_one_curve_or_several(d2l):
    x = d2l.arange(0.0, 3.0, 1.0)
    d2l.plot(x, [x**2, 2 * x], "x", "y", legend=["square", "double"], xlim=[0, 2], yscale="linear")
    axes = plt.gca()
    assert axes.figure.get_size_inches().tolist() == [3.5, 2.5]
    assert plt.rcParams["figure.figsize"] == plt.rcParamsDefault["figure.figsize"]
    assert [points(line) for line in axes.lines] == [
        [[0, 0], [1, 1], [2, 4]],
        [[0, 0], [1, 2], [2, 4]],
    ]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xlim()) == ("x", "y", (0, 2))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["square", "double"]
    d2l.plot([x, [5.0, 6.0]], [[f**2 for f in x], [1.0, 2.0]], fmts=["-", "-o"])
    assert points(plt.gca().lines[1]) == [[5, 1], [6, 2]]
    d2l.plot([3.0, 1.0])
    assert points(plt.gca().lines[0]) == [[0, 3], [1, 1]]


def test_plot_says_when_x_and_y_do_not_pair():
    with pytest.raises(ValueError, match="X has 2 curves and Y has 3"):
        plot([[1], [2]], [[1], [2], [3]])


def test_the_animator_keeps_what_it_draws():
    animator = Animator(xlabel="epoch", ylabel="loss", legend=["a", "b"], xlim=[0, 2])
    animator.add(0.5, (1, 2))
    animator.add(1, (3, None))
    assert animator.X == [[0.5, 1], [0.5]] and animator.Y == [[1, 3], [2]]
    assert [points(line) for line in animator.axes[0].lines] == [[[0.5, 1], [1, 3]], [[0.5, 2]]]
    assert animator.axes[0].get_xlim() == (0, 2) and animator.axes[0].get_ylabel() == "loss"
    animator.fig.savefig(io.BytesIO())


@pytest.mark.parametrize(
    "losses, kept",
    [([0.45, 0.3, 0.25], True), ([20, 5, 4], False), ([0.3, 0.01], False), ([0.3, np.nan], True)],
)
def test_an_ylim_gives_way_to_a_curve_that_it_would_hide(losses, kept):
    animator = Animator(ylim=[0.22, 0.35])
    for x, loss in enumerate(losses):
        animator.add(x, loss)
    low, high = animator.axes[0].get_ylim()
    if kept:
        assert (low, high) == (0.22, 0.35)
    else:
        assert low <= min(losses) and max(losses) <= high


class Shell:
    """As much of IPython's shell as the Animator uses."""

    kernel = True

    def __init__(self):
        self.events, self.callbacks = self, []

    def register(self, event, callback):
        assert event == "post_execute"
        self.callbacks.append(callback)

    def unregister(self, event, callback):
        self.callbacks.remove(callback)


def test_in_a_notebook_one_picture_is_updated_a_few_times_a_second(monkeypatch):
    pytest.importorskip("IPython")
    shown, shell = [], Shell()

    class Handle:
        def update(self, figure):
            shown.append("update")

    monkeypatch.setattr("d2l_rmsprop.lesson.plotting._in_notebook", lambda: shell)
    monkeypatch.setattr("d2l_rmsprop.lesson.plotting.use_svg_display", lambda: None)
    monkeypatch.setattr(
        "IPython.display.display", lambda figure, display_id: shown.append("first") or Handle()
    )
    animator = Animator()
    assert plt.get_fignums() == []  # else the notebook would show it a second time
    start = time.perf_counter()
    for x in range(1000):
        animator.add(x, x)
    seconds = time.perf_counter() - start
    (end_of_cell,) = shell.callbacks
    end_of_cell()
    assert shown[0] == "first" and set(shown[1:]) <= {"update"} and len(shown) >= 2
    assert len(shown) <= 2 + seconds / 0.25
    assert shell.callbacks == []
    animator.add(1000, 1)  # the next cell goes on
    assert len(shell.callbacks) == 1


def test_train_2d_takes_numbers_and_arrays_of_one_number(d2l):
    def trainer(x1, x2, s1, s2, f_grad):
        g1, _ = f_grad(x1, x2)
        return x1 - 0.1 * g1, d2l.tensor([1.5]), 0, 0

    results = d2l.train_2d(trainer, steps=2, f_grad=lambda x1, x2: (2 * x1, 4 * x2))
    assert results[0] == (-5, -2) and results[1][0] == -4.0 and len(results) == 3
    d2l.show_trace_2d(lambda x1, x2: d2l.square(x1) + 2 * x2**2, results)
    (path,) = plt.gca().lines
    np.testing.assert_allclose(points(path), [[-5, -2], [-4, 1.5], [-3.2, 1.5]], rtol=1e-6)
    assert (plt.gca().get_xlabel(), plt.gca().get_ylabel()) == ("x1", "x2")
    assert plt.gca().get_ylim()[1] > 1.5  # the picture grows where the path leaves it


def test_several_paths_have_their_names_and_one_scale():
    d2l = framework("numpy")
    paths = [[(-5, -2), (-4, 0)], [(-5, -2), (-1, -1), (0, 0)]]
    d2l.show_trace_2d(lambda x1, x2: x1**2 + x2**2, paths, legend=["one", "two"], figsize=(5, 3))
    axes = plt.gca()
    assert [points(line) for line in axes.lines] == [[list(xy) for xy in path] for path in paths]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert axes.figure.get_size_inches().tolist() == [5, 3]
    assert plt.rcParams["figure.figsize"] == plt.rcParamsDefault["figure.figsize"]
    assert len({(line.get_marker(), line.get_linestyle()) for line in axes.lines}) == 2
    assert axes.get_aspect() == 1


def test_a_path_that_diverges_is_drawn_as_far_as_it_can_be():
    d2l = framework("numpy")
    d2l.show_trace_2d(lambda x1, x2: x1**2, [(-5, -2), (1e300, -1e300), (np.inf, np.nan)])
    assert plt.gca().get_xlim() == (-5.5, 1.0)


@pytest.mark.parametrize(
    "returned, words",
    [
        (None, "trainer returned None, not the four numbers x1, x2, s1, s2; is a return missing?"),
        ((1, 2), r"trainer returned \(1, 2\), not the four numbers"),
        ((1, 2, 3, 4, 5), "not the four numbers"),
        (1.0, r"trainer returned 1.0, not the four"),
        ((1, None, 0, 0), "there is None, not a number"),
        (("1", "2", 0, 0), "there is '1', not a number"),
    ],
)
def test_a_trainer_that_forgets_its_return_is_told(returned, words):
    with pytest.raises((TypeError, ValueError), match=words):
        train_2d(lambda x1, x2, s1, s2: returned)


@pytest.mark.parametrize("returned", [None, 1.0, (1, 2, 3), ("a", "b"), (None, 1)])
def test_slopes_without_their_return_are_told(returned):
    words = r"f_grad returned .*, not the two slopes|there is .*, not a number"
    for call in (train_2d, lambda trainer, f_grad: trainer(-5, -2, 0, 0, f_grad)):
        with pytest.raises((TypeError, ValueError), match=words):
            call(rmsprop_2d, f_grad=lambda x1, x2: returned)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([3], r"trainer is 3; it must be a function trainer\(x1, x2, s1, s2\)"),
        ([lambda x1, x2: (x1, x2)], r"trainer takes \(x1, x2\); it must be .*\(x1, x2, s1, s2\)"),
        (
            [lambda x1, x2, s1, s2: (x1, x2, 0, 0), 20, lambda x1, x2: (1, 2)],
            r"trainer takes \(x1, x2, s1, s2\); it must be .*\(x1, x2, s1, s2, f_grad\)",
        ),
        ([rmsprop_2d, 20, 3], r"f_grad is 3; it must be a function f_grad\(x1, x2\)"),
        (
            [rmsprop_2d, 20, lambda x: x],
            r"f_grad takes \(x\); it must be a function f_grad\(x1, x2",
        ),
        ([rmsprop_2d, 2.5], "steps is 2.5; it must be a whole number >= 0"),
    ],
)
def test_what_cannot_be_called_is_said_before(arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        train_2d(*arguments)


@pytest.mark.parametrize(
    "wrong, words", [({"gamma": 2}, "gamma'] is 2; .* from 0 to 1"), ({"lr": "a"}, "lr'] is 'a'")]
)
def test_rmsprop_2d_checks_its_numbers(wrong, words):
    with pytest.raises(ValueError, match=words):
        rmsprop_2d(-5, -2, 0, 0, **wrong)


@pytest.mark.parametrize(
    "f, results, words",
    [
        (None, None, "results is None, not the places that train_2d returns"),
        (None, [], r"results is \[\], not the places"),
        (None, [(1, 2), (3,)], r"a place in results is \(3,\), not a pair"),
        (None, [(1, "here")], "there is 'here', not a number"),
        (lambda x1, x2: None, [(1, 2)], "f returned None, not the heights"),
        (lambda x1, x2: 3.0, [(1, 2)], "f returned 3.0, not the heights"),
    ],
)
def test_what_is_no_path_and_no_height_is_said(f, results, words):
    with pytest.raises((TypeError, ValueError), match=words):
        framework("numpy").show_trace_2d(f, results)


def test_rmsprop_2d_is_a_trainer():
    (first, *_, last) = train_2d(framework("numpy").rmsprop_2d)
    assert first == (-5, -2) and 0.1 * last[0] ** 2 + 2 * last[1] ** 2 < 2e-5


def test_timer_and_accumulator():
    timer = Timer()
    time.sleep(0.01)
    assert timer.stop() >= 0.01
    timer.start()
    timer.stop()
    assert timer.cumsum() == pytest.approx([timer.times[0], sum(timer.times)])
    assert timer.sum() == sum(timer.times) and timer.avg() == sum(timer.times) / 2
    metric = Accumulator(2)
    metric.add(1, 2)
    metric.add(np.float32(3), 4)
    assert (metric[0], metric[1]) == (4, 6)
    metric.reset()
    assert metric[0] == 0
