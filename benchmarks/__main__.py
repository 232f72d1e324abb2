"""Measure, print the table, save results.json and growth.png."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

FRAMEWORKS = ("numpy", "torch", "paddle", "tensorflow", "mxnet", "jax")
# group of runs: its rows, each a ratio of two runs and what is wanted of it on these frameworks
ROWS = {
    "training": [
        ("d2l scratch", "scratch", {"torch": ">= 17", "mxnet": ">= 6", "tensorflow": ">= 16"}),
        ("d2l concise", "concise", {"torch": ">= 13", "mxnet": ">= 10", "tensorflow": ">= 30"}),
        ("scratch", "concise", {f: "<= 1.2" for f in FRAMEWORKS if f != "mxnet"} | {"mxnet": ""}),
        ("our loop", "loop by hand", dict.fromkeys(FRAMEWORKS, "<= 1.15")),
    ],
    "one large": [
        ("torch.optim", "compiled", {"torch": ">= 5"}),
        ("keras", "compiled", {"tensorflow": ""}),
        ("keras in tf.function", "compiled", {"tensorflow": ">= 2"}),
        ("optax", "compiled", {"jax": ">= 1"}),
        ("rmsprop_update", "compiled", {"mxnet": ">= 1"}),
        ("paddle.optimizer", "compiled", {"paddle": ""}),
        ("eager", "compiled", dict.fromkeys(FRAMEWORKS, "") | {"numpy": ">= 5"}),
        ("compiled", "5/3 copy", dict.fromkeys(FRAMEWORKS, "") | {"torch": "<= 1.25"}),
    ],
    "many small": [
        ("compiled", "torch.optim foreach", {"torch": "<= 1.5"}),
        ("compiled", "keras in tf.function", {"tensorflow": ""}),
        ("compiled", "optax", {"jax": ""}),
        ("compiled", "rmsprop_update", {"mxnet": ""}),
        ("compiled", "paddle.optimizer", {"paddle": ""}),
        ("compiled", "eager", dict.fromkeys(FRAMEWORKS, "")),
    ],
}


def measure(name, quick):
    """Return what the framework's own process measured, or None where it is not installed."""
    with tempfile.TemporaryDirectory() as cache:  # a first call compiles, whatever ran before
        command = [sys.executable, "-m", "benchmarks.worker", name, *["--quick"] * quick]
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{name} is left out: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def start_up(repeats=5):
    """Return the seconds that importing the package and asking for help take beyond the start."""
    programs = {"start": ["-c", ""], "import": ["-c", "import d2l_rmsprop"]}
    programs["help"] = ["-m", "d2l_rmsprop", "--help"]
    seconds = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *program], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    found = {name: statistics.median(each) for name, each in seconds.items()}
    return {"import beyond the start": found["import"] - found["start"], "--help": found["help"]}


def ratios(results):
    for group, rows in ROWS.items():
        for numerator, denominator, wanted in rows:
            for name in wanted:
                seconds = results["frameworks"].get(name, {}).get(group, {})
                if numerator in seconds and denominator in seconds:
                    ratio = seconds[numerator] / seconds[denominator]
                    yield f"{group}, {name}: {numerator} / {denominator}", ratio, wanted[name]


def show(results):
    table = Table("measured", "ratio", "wanted", title=f"{results['machine']}, {results['date']}")
    for what, ratio, wanted in results["ratios"]:
        table.add_row(what, f"{ratio:.2f}", wanted)
    for name, found in results["frameworks"].items():
        extra = found["memory beside the arrays, in parameters"]
        table.add_row(f"memory of a step, {name}: temporaries / parameters", f"{extra:.2f}", "0")
        tensors = found["growth"]["tensors"]
        for count, seconds in tensors[0], tensors[-1]:
            microseconds = seconds["100 checks"] * 1e4
            table.add_row(
                f"checks of a step, {count} parameters, {name}", f"{microseconds:.1f} us", ""
            )
        for label, seconds in found["first call"].items():
            table.add_row(f"first call, {label}, {name}", f"{seconds:.1f} s", "<= 10 s")
    for what, seconds in results["start-up"].items():
        table.add_row(what, f"{seconds:.3f} s", "<= 0.3 s" if what == "--help" else "<= 0.05 s")
    Console().print(table)


def split(runs):
    """Return the time of our compiled step, and the built-in ones, name -> time."""
    ours = ("100 checks", "compiled", "eager")
    return runs["compiled"], {name: each for name, each in runs.items() if name not in ours}


def draw(results, path):
    """Draw the time of a step over elements and over tensors: ours, and the best built-in."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    for axis, key in zip(axes, ("elements", "tensors"), strict=True):
        for color, (name, found) in enumerate(results["frameworks"].items()):
            for style, label, ours in (("o-", name, True), ("--", None, False)):
                points = [
                    (size, 1000 * min(built_in.values() if not ours else [compiled]))
                    for size, runs in found["growth"][key]
                    for compiled, built_in in [split(runs)]
                    if ours or built_in
                ]
                if points:
                    axis.plot(*zip(*points, strict=True), style, c=f"C{color}", label=label, ms=3)
        axis.set_xscale("log"), axis.set_yscale("log")
        axis.grid(alpha=0.3)
    axes[0].set_xlabel("elements, one tensor"), axes[1].set_xlabel("tensors of 1000 elements")
    axes[0].set_ylabel("milliseconds a step")
    axes[0].set_title("d2l.compile(rmsprop)", fontsize="medium")
    axes[1].set_title("dashed: the best built-in", fontsize="medium")
    axes[0].legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    measured = {name: measure(name, args.quick) for name in args.frameworks}
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}",
        "frameworks": {name: found for name, found in measured.items() if found},
        "start-up": start_up(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    results["ratios"] = list(ratios(results))
    show(results)
    (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, args.out / "growth.png")
    print(f"saved {args.out / 'results.json'} and {args.out / 'growth.png'}")


main()
