"""How fast the package is beside d2l 1.0.3, the built-in optimizers and loops written by hand.

    python -m pip install -e '.[all]' && python -m pip install --no-deps d2l==1.0.3
    python -m benchmarks            # a table of ratios, results.json and growth.png
    python -m benchmarks --quick    # small sizes, to see that it runs

Each framework is measured in a process of its own. Runs that are compared alternate; the table
has ratios of their medians. A framework or a peer that is not installed is left out, and said.
"""

import contextlib
import io
import statistics
import time


def side_by_side(runs, repeats):
    """Return the median seconds of each of ``runs``, name -> function, in alternating runs.

    A function may come with another that prepares each run of it, outside the time:
    name -> (prepare, function).
    """
    seconds = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            prepare, function = run if isinstance(run, tuple) else (lambda: None, run)
            prepare()
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                function()
            if repeat:  # the first one warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}
