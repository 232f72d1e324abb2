"""The exercises: they run on every framework, and nbgrader hands them out and marks them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import framework

from d2l_rmsprop.backend import BACKENDS
from d2l_rmsprop.book.notebook import build, convert
from d2l_rmsprop.book.source import cells

EXERCISES = Path(__file__).parents[2] / "chapters" / "exercises"
ENGLISH = sorted((EXERCISES / "en").glob("*.md"))
RUN_FOR_SECONDS = 300
pytestmark = pytest.mark.exercises
TO_RUN = [
    pytest.param(path, marks=[pytest.mark.slow] if "fashion-mnist" in path.stem else [])
    for path in ENGLISH
]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("exercise", TO_RUN, ids=lambda path: path.stem)
def test_the_worked_answers_run_and_pass_their_tests(exercise, name, tmp_path):
    framework(name)
    build(exercise, name, tmp_path / "done.ipynb", run=True, timeout=RUN_FOR_SECONDS)
    done = nbformat.read(tmp_path / "done.ipynb", 4)
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []
    assert any("image/png" in o.get("data", {}) for o in outputs)


@pytest.mark.parametrize("exercise", ENGLISH, ids=lambda path: path.stem)
def test_every_exercise_has_something_to_write_to_test_and_to_answer(exercise):
    marks = [c.nbgrader for c in cells(exercise.read_text("utf-8"), "torch") if c.nbgrader]
    kinds = {(m["cell_type"], m["solution"], m["grade"]) for m in marks}
    assert {("code", True, False), ("code", False, True), ("markdown", True, True)} <= kinds


class Course:
    """A course folder of nbgrader's, its assignment made of the exercises of one language."""

    def __init__(self, folder, language, exercises):
        pytest.importorskip("nbgrader", reason="nbgrader is not installed: extra exercises")
        self.folder = folder
        for exercise in exercises:
            source = EXERCISES / language / exercise.name
            build(source, "numpy", folder / "source" / "rmsprop" / f"{exercise.stem}.ipynb")

    def nbgrader(self, *arguments):
        bin_folder = Path(sys.executable).parent  # nbgrader calls alembic
        path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def submit(self, student, version="source", only="*", change=("", "")):
        target = self.folder / "submitted" / student / "rmsprop"
        target.mkdir(parents=True)
        for path in (self.folder / version / "rmsprop").glob(f"{only}.ipynb"):
            text = path.read_text("utf-8")
            assert change[0] in text
            (target / path.name).write_text(text.replace(*change), "utf-8")

    def outputs(self, student):
        """Return the outputs of each cell of what was marked."""
        paths = sorted((self.folder / "autograded" / student / "rmsprop").glob("*.ipynb"))
        assert paths
        return [c.get("outputs", []) for path in paths for c in nbformat.read(path, 4).cells]

    def cells(self, notebook):
        """Return nbgrader's marks in a notebook."""
        (path,) = (self.folder / "source" / "rmsprop").glob(f"{notebook}.ipynb")
        found = nbformat.read(path, 4).cells
        return [c.metadata["nbgrader"] for c in found if "nbgrader" in c.metadata]

    def marks(self, student):
        """Return {grade_id: (points, points at most, whether a person must mark it)}."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as gradebook:
            submission = gradebook.find_submission("rmsprop", student)
            return {
                grade.name: (grade.score, grade.max_score, grade.needs_manual_grade)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }


@pytest.mark.parametrize("language", ["en", "zh", "vi"])
def test_students_get_neither_answers_nor_hidden_tests(tmp_path, language):
    course = Course(tmp_path, language, ENGLISH)
    course.nbgrader("generate_assignment", "rmsprop")
    released = sorted((tmp_path / "release" / "rmsprop").glob("*.ipynb"))
    assert [path.stem for path in released] == [path.stem for path in ENGLISH]
    for path in released:
        now = nbformat.read(path, 4).cells
        before = nbformat.read(tmp_path / "source" / "rmsprop" / path.name, 4).cells
        assert len(now) == len(before)
        text = "\n".join(cell.source for cell in now)
        assert "SOLUTION" not in text and "HIDDEN" not in text and "NotImplementedError" in text
        answers = [c.source for c in now if c.cell_type == "markdown" and "nbgrader" in c.metadata]
        assert answers and set(answers) == {"YOUR ANSWER HERE"}
        kept = [(a, b) for a, b in zip(now, before, strict=True) if "nbgrader" not in b.metadata]
        assert kept and all(a.source == b.source for a, b in kept)
        source = (EXERCISES / language / f"{path.stem}.md").read_text("utf-8")
        ours = convert(source, "numpy", student=True)
        assert [cell.source for cell in now] == [cell.source for cell in ours.notebook.cells]


WRONG = {  # in which notebook: what is changed in the worked answer, the test that says so, how
    "epsilon outside the root": (
        "1-*", "d2l.sqrt(s + eps)", "(d2l.sqrt(s) + eps)",
        "test-rmsprop", "epsilon stands outside the root",
    ),
    "weights swapped": (
        "1-*", "gamma * s + (1 - gamma) *", "(1 - gamma) * s + gamma *",
        "test-rmsprop", "are swapped",
    ),
    "the average is not kept": (
        "1-*", "return x, s", "return x, 0 * s",
        "test-rmsprop", "should be",
    ),
    "a pasted limit": (
        "2-*", "return 2 * math.sqrt(eps) / 4", "return 5e-4",
        "test-largest-lr", "does not depend on eps",
    ),
    "axes swapped": (
        "3-*", "np.mean(tables, axis=0)", "np.mean(tables, axis=0).T",
        "test-sensitivity", "rows and columns are swapped",
    ),
    "a constant rate": (
        "3-*", "return start * (1 - t)", "return start",
        "test-falling-lr", "does not depend on t",
    ),
    "too short a run": (
        "4-*", ", num_epochs=30)", ")",
        "test-ten-times-as-long", "num_epochs is 3 and should be 30",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A course after autograde, without Fashion-MNIST, which takes long."""
    quick = [exercise for exercise in ENGLISH if "fashion-mnist" not in exercise.stem]
    course = Course(tmp_path_factory.mktemp("course"), "en", quick)
    course.nbgrader("generate_assignment", "rmsprop")
    course.submit("solution")
    course.submit("untouched", version="release")
    for mistake, (notebook, right, wrong, *_) in WRONG.items():
        course.submit(mistake, only=notebook, change=(as_in_json(right), as_in_json(wrong)))
    course.nbgrader("autograde", "rmsprop", f"--Execute.timeout={RUN_FOR_SECONDS}")
    return course


def as_in_json(text):
    return json.dumps(text)[1:-1]


def test_the_worked_answers_get_all_points_that_tests_give(marked):
    for name, (points, at_most, by_a_person) in marked.marks("solution").items():
        by_tests = name.startswith("test-")
        assert (points, by_a_person) == ((at_most, False) if by_tests else (0, True)), name


def test_an_untouched_notebook_gets_no_points_and_needs_no_person(marked):
    untouched = marked.marks("untouched")
    assert untouched.keys() == marked.marks("solution").keys()
    assert {(points, by_a_person) for points, _, by_a_person in untouched.values()} == {(0, False)}


def test_an_untouched_notebook_says_so_without_a_long_traceback(marked):
    for outputs in marked.outputs("untouched"):
        errors = [output for output in outputs if output.output_type == "error"]
        assert all(error.ename == "AssertionError" for error in errors)
        if errors:
            said = "".join(output.text for output in outputs if output.output_type == "stream")
            assert "is not written yet" in said


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_answer_loses_the_points_and_is_told_why(marked, mistake):
    *_, name, sentence = WRONG[mistake]
    lost = {name for name, (points, most, _) in marked.marks(mistake).items()
            if name.startswith("test-") and points < most}  # fmt: skip
    theirs = {c["grade_id"] for c in marked.cells(WRONG[mistake][0])}
    assert lost & theirs == {name}
    said = [o.text for outputs in marked.outputs(mistake) for o in outputs if "text" in o]
    assert any(sentence in text for text in said)
    errors = [o.ename for outputs in marked.outputs(mistake) for o in outputs if "ename" in o]
    assert errors == ["AssertionError"]
