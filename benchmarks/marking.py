"""A class of submissions by ``d2l-rmsprop grade`` beside ``nbgrader autograde``, the same exercise.

    python -m pip install '.[torch,tensorflow,exercises]'
    python -m benchmarks.marking [--students 200] [--autograde 6]

nbgrader runs the exercise's notebook on one framework; grade runs the function on three.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FRAMEWORKS = ("numpy", "torch", "tensorflow")
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "benchmark"\n'


def run(*command: str, cwd: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking", description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--autograde", type=int, default=6, help="submissions that nbgrader marks")
    args = parser.parse_args()
    d2l = [sys.executable, "-m", "d2l_rmsprop"]
    nbgrader = [sys.executable, "-m", "nbgrader"]
    with tempfile.TemporaryDirectory() as name:
        course = Path(name)
        (course / "nbgrader_config.py").write_text(CONFIG)
        worked = course / "source" / "rmsprop" / "1-write-rmsprop.ipynb"
        run(
            *d2l, "notebook", "1-write-rmsprop", "--backend", "numpy", "-o", str(worked), cwd=course
        )
        run(*nbgrader, "generate_assignment", "rmsprop", cwd=course)
        for i in range(args.students):
            folder = course / "submitted" / f"s{i:03}" / "rmsprop"
            folder.mkdir(parents=True)
            shutil.copy(worked, folder)
        few = [f"--student=s{i:03}" for i in range(args.autograde)]
        theirs = sum(run(*nbgrader, "autograde", "rmsprop", one, cwd=course) for one in few)
        options = [f"--backend={name}" for name in FRAMEWORKS]
        ours = run(*d2l, "grade", "submitted", "-o", "grades.csv", *options, cwd=course)
    ours_rate, theirs_rate = args.students / ours, args.autograde / theirs
    print(f"grade: {args.students} submissions on {len(FRAMEWORKS)} frameworks in {ours:.0f} s")
    print(f"nbgrader autograde: {theirs / args.autograde:.1f} s for a submission on one framework")
    print(f"submissions a second, grade / autograde: {ours_rate / theirs_rate:.1f}")


main()
