"""Writing a file whole or not at all; the commands' own cases are in commands/rows.py."""

import os
import shutil

import pytest

from d2l_rmsprop import files


def test_a_folder_that_is_removed_meanwhile_is_said(tmp_path, monkeypatch):
    def target(path):
        found = kept(path)
        shutil.rmtree(tmp_path / "d")
        return found

    kept = files.target
    (tmp_path / "d").mkdir()
    monkeypatch.setattr(files, "target", target)
    with pytest.raises(files.FileError, match=r"cannot be written \(No such file or directory\)"):
        files.write(tmp_path / "d" / "a.json", b"new")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_is_cut_short_leaves_the_old_file_alone(tmp_path, monkeypatch, step, error):
    def fail(*args):
        raise error

    (tmp_path / "a.json").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises((KeyboardInterrupt, files.FileError)):
        files.write(tmp_path / "a.json", b"new")
    assert os.listdir(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_bytes() == b"old"
