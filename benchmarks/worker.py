"""All measurements of one framework, in a process of its own; prints them as JSON."""

import json
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from benchmarks import loops, peer, side_by_side, steps
from d2l_rmsprop import rmsprop
from d2l_rmsprop.backend import load
from d2l_rmsprop.lesson import training


def main(name, quick):
    d2l = load(name)
    repeats, large = (2, 100_000) if quick else (9, 20_000_000)
    runs = getattr(steps, name)
    first = first_calls(d2l, runs, large, 20 if quick else 1000)
    one = runs(d2l, large, 1)
    seconds = side_by_side(one | {"copy": steps.copy(large)}, repeats)
    seconds["5/3 copy"] = seconds["copy"] * 5 / 3  # five streams a step, three a copy
    memory = peak(*one["compiled"]) / (4 * large)
    many = side_by_side(runs(d2l, 1000, 20 if quick else 1000), repeats)
    sizes = [1000, 10_000] if quick else [10**3, 10**4, 10**5, 10**6, 10**7, 2 * 10**7]
    counts = [1, 10] if quick else [1, 10, 100, 1000]
    result = {
        "version": d2l.version(),
        "first call": first,
        "one large": seconds,
        "memory beside the arrays, in parameters": memory,
        "many small": many,
        "growth": {
            "elements": [[n, side_by_side(runs(d2l, n, 1), repeats)] for n in sizes],
            "tensors": [[k, side_by_side(runs(d2l, 1000, k), repeats)] for k in counts],
        },
        "training": train(d2l, name, repeats),
    }
    print(json.dumps(result))


def first_calls(d2l, runs, large, tensors):
    """Return the seconds of the first compiled step, on one large and on many small parameters."""
    seconds = {}
    for label, n, count in (("one large", large, 1), ("many small", 1000, tensors)):
        prepare, run = runs(d2l, n, count)["compiled"]
        prepare()
        started = time.perf_counter()
        run()
        seconds[label] = time.perf_counter() - started
    return seconds


def peak(prepare, step):
    """Return the bytes that the process grows by, at most, in a step that is compiled already."""
    prepare()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _memory("VmRSS")
    step()
    return _memory("VmHWM") - before


def _memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def train(d2l, name, repeats):
    """Return the seconds of two epochs on the airfoil table's stand-in, batch 10."""
    data_iter, dim = d2l.get_data_ch11(data="stand-in")
    X, y = getattr(data_iter, "minibatches", data_iter).arrays
    hyperparams = {"lr": 0.01, "gamma": 0.9}

    def states():
        return d2l.init_rmsprop_states(dim)

    def make_step(w, b):
        return d2l.linreg_step(rmsprop, states(), hyperparams, w, b)

    runs = {
        "scratch": lambda: d2l.train_ch11(rmsprop, states(), hyperparams, data_iter, dim),
        "our loop": lambda: training.fit(make_step, data_iter),
        "loop by hand": lambda: getattr(loops, name)(X, y),
    }
    built_in = d2l.builtin_rmsprop(0.01, 0.9, 1e-6)
    if built_in:
        runs["concise"] = lambda: d2l.train_concise_ch11(*built_in, data_iter)
    theirs = peer.load(name)
    if theirs:
        runs["d2l scratch"], runs["d2l concise"] = peer.training(theirs, name, X, y)
    closed = {key: (lambda: plt.close("all"), run) for key, run in runs.items()}
    return side_by_side(closed, repeats)


main(sys.argv[1], "--quick" in sys.argv)
