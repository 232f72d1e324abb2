"""The sweep: every cell is train_ch11, whatever trains it, and no cell stops the others."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from references import by_hand, rmsprop_by_hand, table

from d2l_rmsprop.commands import main
from d2l_rmsprop.experiments import sweep
from d2l_rmsprop.experiments.sweep import SweepError

LRS, GAMMAS = [0.001, 0.01, 0.1, 1], [0, 0.9, 0.999]


def run(*args):
    return CliRunner().invoke(main, ["sweep", *map(str, args)], catch_exceptions=False)


def train(lrs=LRS, gammas=GAMMAS, **settings):
    return sweep.sweep(lrs, gammas, draw=False, **settings)


def test_a_cell_is_train_ch11_to_rounding_where_the_run_is_not_chaotic(d2l):
    found = d2l.sweep([0.001, 0.01], [0.5, 0.9], batch_size=100, seed=3, draw=False).losses
    for i, gamma in enumerate([0.5, 0.9]):
        for j, lr in enumerate([0.001, 0.01]):
            data_iter, _ = d2l.get_data_ch11(100, data="stand-in")
            states, hyperparams = d2l.init_rmsprop_states(5), {"lr": lr, "gamma": gamma}
            _, losses = d2l.train_ch11(d2l.rmsprop, states, hyperparams, data_iter, 5, seed=3)
            assert found[i, j] == pytest.approx(losses[-1], abs=1e-6)


def test_a_cell_is_the_training_written_out_in_float64():
    found = train([0.001, 0.01], [0.9, 0.99], eps=1e-3).losses
    for i, gamma in enumerate([0.9, 0.99]):
        for j, lr in enumerate([0.001, 0.01]):
            expected = by_hand(*table(), rmsprop_by_hand(lr, gamma, 1e-3))[-1]
            assert found[i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("batch_size", [7, 1500])
def test_a_cell_has_the_same_bits_in_any_grid_and_on_any_number_of_cores(batch_size, monkeypatch):
    grid = train(batch_size=batch_size).losses
    assert np.array_equal(train(batch_size=batch_size, jobs=2).losses, grid)
    for i, j in [(0, 0), (1, 3), (2, 2)]:
        assert train([LRS[j]], [GAMMAS[i]], batch_size=batch_size).losses == grid[i, j]
    monkeypatch.setattr(sweep, "BLOCK", 5)
    wide = train(np.union1d(LRS, np.geomspace(1e-3, 2, 20)), GAMMAS, batch_size=batch_size)
    assert np.array_equal(wide.losses[:, np.isin(wide.lrs, LRS)], grid)


def test_the_airfoil_table_and_the_linear_problem_are_swept(airfoil_folder):
    assert train([0.01], [0.9], data="airfoil").losses == pytest.approx(0.2445, abs=0.005)
    assert train([0.03], [0.999], data="linear", num_epochs=3, eps=1e-8).losses < 2e-3


# the picture


def test_the_heat_map_says_where_the_runs_diverged():
    grid = sweep.sweep([0.001, 0.1, 1], [0.9, 1])
    assert grid.diverged.tolist() == [[False] * 3, [False, True, True]]
    axes = grid.draw()
    assert axes.get_legend().get_texts()[0].get_text() == "diverged (2 of 6)"
    assert [patch.get_xy() for patch in axes.patches] == [(1, 1), (2, 1)]
    assert all(patch.get_hatch() for patch in axes.patches)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lr", "gamma")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.9", "1"]
    colours = axes.collections[0]
    assert colours.norm.vmin == grid.losses.min() and colours.norm.vmax < 1e4 * colours.norm.vmin


def test_the_heat_map_marks_the_best_cell_and_colours_the_region_around_it():
    losses = np.array([[0.3, 0.25, 0.24], [0.26, 50.0, 1e30]])
    axes = sweep.Grid([0.1, 0.2, 0.3], [0.5, 0.9], losses).draw()
    (mark,) = axes.lines
    assert (*mark.get_xdata(), *mark.get_ydata()) == (2.5, 0.5)  # the middle of the cell
    assert axes.get_legend().get_texts()[0].get_text() == "lowest: 0.24 at lr 0.3, gamma 0.5"
    colours = axes.collections[0].norm
    assert (colours.vmin, colours.vmax) == pytest.approx((0.24, np.median(losses)))


@pytest.mark.parametrize("losses", [[[0.0, 0.3]], [[0.0, 0.0]]])
def test_a_loss_of_0_is_drawn(losses):
    grid = sweep.Grid([0.1, 0.2], [0.9], np.array(losses))
    assert grid.best == (0.1, 0.9, 0) and len(grid.draw().lines) == 1


@pytest.mark.parametrize("lrs, gammas", [([1], [1]), ([0.01], [0.9])])
def test_a_grid_of_one_cell_is_drawn(lrs, gammas):
    grid = sweep.sweep(lrs, gammas)
    assert bool(grid.draw().patches) == grid.diverged.all() == (grid.best is None)


def test_the_command_writes_the_cells_and_the_picture(tmp_path):
    result = run(
        "--lrs", "0.001:1:4", "--gammas", "0,1", "--epochs", 1, "--seed", 2,
        "--results", tmp_path / "r.json", "--figure", tmp_path / "r.png",
    )  # fmt: skip
    assert result.exit_code == 0
    expected = train([0.001, 0.01, 0.1, 1], [0, 1], num_epochs=1, seed=2)
    cells = json.loads((tmp_path / "r.json").read_text())["cells"]
    losses = [np.inf if cell["loss"] is None else cell["loss"] for cell in cells]
    assert np.array_equal(losses, expected.losses.ravel())
    assert [cell["lr"] for cell in cells] == pytest.approx([0.001, 0.01, 0.1, 1] * 2)
    assert [cell["status"] == "diverged" for cell in cells] == expected.diverged.ravel().tolist()
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    diverged = expected.diverged.sum()
    assert f" s: {8 - diverged} finished, {diverged} diverged, 0 failed" in result.stdout
    assert f"lowest loss {expected.losses.min():.6f}" in result.stdout


# bad grids


@pytest.mark.parametrize(
    "lrs, gammas, words",
    [
        ([], [0.9], "no lr"),
        ([0.1], [], "no gamma"),
        ([0.1, 0.01], [0.9], "lr 0.01 follows 0.1 in the grid; give rising numbers"),
        ([0.1], [0.9, 0.9], "gamma 0.9 follows 0.9"),
        ([0.1], [0.9, 1.1], "a gamma is 1.1; it must be a number from 0 to 1"),
        ([-1, 0.1], [0.9], "a lr is -1.0"),
        ([0.1], [float("nan")], "a gamma is nan"),
        (["a"], [0.9], "grid is wrong"),
        (0.1, [0.9], "grid is wrong"),
    ],
)
def test_a_bad_grid_is_said(lrs, gammas, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        train(lrs, gammas)


@pytest.mark.parametrize("setting", ["num_epochs", "batch_size", "jobs"])
def test_a_bad_count_is_said(setting):
    with pytest.raises(ValueError, match=f"{setting} is 0"):
        train(**{setting: 0})


@pytest.mark.parametrize(
    "args, words",
    [
        (("--lrs", ""), "is no grid"),
        (("--lrs", "0:1:5"), "start it above 0"),
        (("--gammas", "0:1"), "is no grid"),
        (("--gammas", "0.9,0.5"), "gamma 0.5 follows 0.9"),
        (("--gammas", "0.9,1.5"), "a gamma is 1.5"),
        (("--eps", "-1"), "--eps is -1.0"),
        (("--figure", "a.txt"), "should end in"),
    ],
)
def test_the_command_refuses_a_bad_grid_as_bad_usage(args, words):
    result = run(*args)
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr


# interrupted, and started again


def test_an_interrupted_sweep_goes_on_from_what_is_done(tmp_path, monkeypatch):
    trained, train_cells = [], sweep.train_cells

    def interrupted(lrs, *args):
        if len(trained) >= 5 and not resumed:
            raise KeyboardInterrupt
        trained.extend(lrs)
        return train_cells(lrs, *args)

    monkeypatch.setattr(sweep, "train_cells", interrupted)
    monkeypatch.setattr(sweep, "BLOCK", 1)
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        train(results=tmp_path / "r.json")
    assert len(trained) == len(json.loads((tmp_path / "r.json").read_text())["cells"]) == 5
    resumed = True
    assert np.array_equal(train(results=tmp_path / "r.json").losses, train().losses)
    assert len(trained) == 12 + 12  # the first sweep in two parts, and the one to compare with
    again = train(results=tmp_path / "r.json")
    assert len(trained) == 24 and np.array_equal(again.losses, train().losses)


@pytest.mark.cluster
def test_ctrl_c_ends_in_one_sentence_and_keeps_the_cells(tmp_path):
    file = tmp_path / "r.json"
    command = [sys.executable, "-m", "d2l_rmsprop", "sweep", "--epochs", "200", "--results", file]
    command += ["--lrs", "0.001:0.01:16", "--gammas", "0:0.99:16", "--jobs", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # a shell that runs the tests in the background has Ctrl-C ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if json.loads(file.read_text())["cells"]:
                break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the workers too
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and stdout == ""
    kept = f"the cells so far are in {file}; the same command goes on from them"
    assert stderr == f"Error: interrupted: {kept}.\n"
    assert 0 < len(json.loads(file.read_text())["cells"]) < 256


@pytest.mark.parametrize(
    "other",
    [
        {"num_epochs": 1},
        {"batch_size": 20},
        {"seed": 1},
        {"eps": 1e-7},
        {"data": "linear"},
        {"gammas": [0, 0.9]},
    ],
)
def test_a_file_of_results_from_other_settings_is_refused(tmp_path, other):
    file = tmp_path / "r.json"
    train(results=file)
    before = file.read_bytes()
    with pytest.raises(SweepError, match=f"another sweep .*{next(iter(other))}"):
        train(results=file, **other)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"settings": {}}', b"\xff"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    result = run("--results", tmp_path / "r.json")
    assert result.exit_code == 1 and "name another file" in result.stderr
    assert (tmp_path / "r.json").read_bytes() == content


def test_a_file_that_cannot_be_written_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "train_cells", None)
    with pytest.raises(SweepError, match="cannot be written"):
        train(results=tmp_path / "no folder" / "r.json")
