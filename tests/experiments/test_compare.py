"""The comparison, and the command line around it."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import FRAMEWORKS, framework

from d2l_rmsprop.commands import main
from d2l_rmsprop.experiments import compare


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


def installed():
    found = []
    for name in FRAMEWORKS:
        try:
            framework(name)
        except pytest.skip.Exception:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("data", ["stand-in", "linear", "airfoil"])
def test_the_two_versions_differ_by_rounding_alone(d2l, data, airfoil_folder):
    name = d2l.__name__.rpartition(".")[2]
    row = compare.compare(name, compare.arrays(data), compare.Settings())
    assert row.error is None
    assert row.verdict(compare.Settings()) == (True, "")
    for other in ("builtin", "reference"):
        if getattr(row, other) is not None:
            a, b = row.scratch.losses, getattr(row, other).losses
            assert np.all(np.abs(np.subtract(a, b)) <= 1e-6 * np.maximum(1, a))
    assert (row.builtin is None) == (name == "numpy")
    if data != "linear":
        assert 0.2416 < row.scratch.losses[-1] < 0.252


def test_compare_writes_a_table_json_and_a_figure(tmp_path):
    result = run("compare", "--json", tmp_path / "c.json", "--figure", tmp_path / "c.png")
    assert result.exit_code == 0
    rows = json.loads((tmp_path / "c.json").read_text())
    assert [row["backend"] for row in rows] == list(FRAMEWORKS)
    keys = "backend version scratch builtin max_abs_difference max_abs_difference_from_numpy"
    for row in rows:
        assert set(keys.split()) | {"eps_in_sqrt", "diverged"} <= set(row)
        if row["backend"] in installed():
            assert len(row["scratch"]["losses"]) == 15
            assert row["scratch"]["seconds_per_epoch"] > 0
            assert f"{row['backend']} {row['version']}" in result.stdout
            assert f"{row['scratch']['losses'][-1]:.6f}" in result.stdout
        else:
            assert row["scratch"] is row["builtin"] is row["version"] is None
            assert re.search("install it with|make an environment", row["error"])
            assert row["error"] in result.stdout
    assert (tmp_path / "c.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "c.png"]


def test_the_frameworks_come_in_the_order_that_they_bear(tmp_path):
    """Paddle, imported after TensorFlow, would end the process."""
    framework("paddle"), framework("tensorflow")
    command = [sys.executable, "-m", "d2l_rmsprop", "compare", "--epochs", "1"]
    done = subprocess.run(
        [*command, "--backend", "tensorflow", "--backend", "paddle"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("lr", [1e20, 1e30])
def test_both_diverged_is_said_and_is_no_failure(tmp_path, lr):
    json_file, figure = tmp_path / "c.json", tmp_path / "c.svg"
    result = run("compare", "--lr", lr, "--json", json_file, "--figure", figure)
    assert result.exit_code == 0
    for row in json.loads(json_file.read_text()):
        if row["backend"] in installed():
            assert row["diverged"]
            assert f"{row['backend']}: diverged" in result.stdout


def test_a_difference_at_the_defaults_fails(monkeypatch):
    """A from-scratch version that is wrong in the fourth digit of its rate is caught."""

    def wrong(params, states, hyperparams):
        right(params, states, hyperparams | {"lr": hyperparams["lr"] * 1.001})

    right = compare.rmsprop
    d2l = framework("numpy")
    reference = compare.compare("numpy", compare.arrays("stand-in"), compare.Settings()).scratch
    monkeypatch.setattr(compare, "rmsprop", wrong)
    row = compare.compare("numpy", compare.arrays("stand-in"), compare.Settings())
    row.builtin, d2l.EPS_IN_SQRT = reference, None
    passed, remark = row.verdict(compare.Settings())
    assert not passed and remark == "differs from built-in by more than rounding"
    chosen = compare.Settings(lr=0.02)
    row.builtin.losses = [loss + 2e-5 for loss in row.scratch.losses]
    assert row.verdict(chosen) == (True, "differs from built-in by more than rounding")


def test_only_one_diverged_is_a_failure():
    row = compare.compare("numpy", compare.arrays("linear"), compare.Settings())
    row.builtin = compare.History(losses=[np.nan] * len(row.scratch.losses), epoch_seconds=[1])
    assert row.verdict(compare.Settings()) == (False, "only builtin diverged")
    assert row.as_json()["max_abs_difference"] is None and row.as_json()["diverged"]


def test_a_framework_that_fails_is_a_row_and_the_others_still_run(monkeypatch, tmp_path):
    def broken(*args):
        raise RuntimeError("no kernel\nfor this device")

    monkeypatch.setattr(framework("numpy"), "linreg_step", broken)
    result = run("compare", "--json", tmp_path / "c.json")
    assert result.exit_code == 1
    assert "numpy: RuntimeError: no kernel for this device" in result.stdout
    assert len(json.loads((tmp_path / "c.json").read_text())) == len(FRAMEWORKS)


def test_a_missing_framework_fails_only_where_it_was_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "d2l_rmsprop.jax", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    asked = run("compare", "--backend", "numpy", "--backend", "jax")
    assert asked.exit_code == 1
    assert "jax is not installed; install it with: python -m pip install" in asked.stdout
    assert "numpy" in asked.stdout and "0.24" in asked.stdout


def test_settings_reach_the_training(tmp_path):
    args = ("--data", "linear", "--lr", 0.1, "--gamma", 0.5, "--eps", 1e-4)
    args += ("--epochs", 1, "--batch-size", 100, "--seed", 7)
    run("compare", "--backend", "numpy", *args, "--json", tmp_path / "c.json")
    (row,) = json.loads((tmp_path / "c.json").read_text())
    from references import by_hand, rmsprop_by_hand

    from d2l_rmsprop.lesson.data import linear_problem

    expected = by_hand(*linear_problem(), rmsprop_by_hand(0.1, 0.5, 1e-4), 100, 1, 7)
    np.testing.assert_allclose(row["scratch"]["losses"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "args, words",
    [
        (["--backend", "theano"], "'theano' is not one of"),
        (["--data", "mnist"], "'mnist' is not one of"),
        (["--lr", "nan"], "--lr is nan"),
        (["--lr", "-1"], "--lr is -1"),
        (["--lr", "fast"], "'fast' is not a valid float"),
        (["--gamma", "1.5"], "--gamma is 1.5; it must be a number from 0 to 1"),
        (["--eps", "-1"], "--eps is -1"),
        (["--epochs", "0"], "--epochs"),
        (["--batch-size", "0"], "--batch-size"),
        (["--seed", "-1"], "--seed"),
        (["--json", "/no/such/folder/c.json"], "cannot be written (No such file or directory)"),
        (["--json", "."], "it is a folder"),
        (["--figure", "/no/such/folder/c.png"], "cannot be written"),
        (["--figure", "c.xyz"], "should end in one of: .png, .svg, .pdf"),
    ],
)
def test_bad_usage_is_said_before_training_starts(args, words, monkeypatch):
    monkeypatch.setattr(compare, "compare", None)  # would fail if it were called
    result = run("compare", *args)
    assert result.exit_code == 2 and words in " ".join(result.stderr.split())


def test_the_real_table_asked_for_by_name_is_never_replaced(monkeypatch, tmp_path):
    from d2l_rmsprop.lesson import data

    monkeypatch.setenv("D2L_RMSPROP_DATA", str(tmp_path))
    (tmp_path / "airfoil_self_noise.dat").write_bytes(b"something else")
    result = run("compare", "--backend", "numpy", "--data", "airfoil")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and "is not the file it should be" in result.stderr
    assert data.DATA_HUB["airfoil"][1] in result.stderr


def test_backends_lists_all_five(monkeypatch):
    monkeypatch.delitem(sys.modules, "d2l_rmsprop.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("backends")
    assert result.exit_code == 0
    assert re.findall(r"^(\w+) ", result.stdout, re.M) == ["framework", *FRAMEWORKS]
    assert "install it with: python -m pip install 'd2l-rmsprop[torch]'" in result.stdout
    assert framework("numpy").version() in result.stdout


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "d2l_rmsprop", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "compare" in result.stdout and "backends" in result.stdout
