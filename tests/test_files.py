"""Files: found in two places, replaced whole or not at all."""

import errno
import os
import stat

import pytest

from netdef import files
from netdef.errors import NetdefError
from netdef.files import check_writable, finder, replacing, replacing_folder, replacing_path


def test_the_working_directory_comes_before_the_prototxts(tmp_path, monkeypatch):
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder in (here, beside):
        folder.mkdir()
        (folder / "both").touch()
    (beside / "one").touch()
    monkeypatch.chdir(here)
    find = finder(beside)
    assert find("both").resolve() == here / "both"
    assert find("one").resolve() == beside / "one"
    assert find(str(beside / "both")) == beside / "both"


def test_a_missing_file_names_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetdefError) as caught:
        finder(tmp_path / "nets")("data/train.txt")
    message = str(caught.value)
    assert "no file 'data/train.txt'" in message
    assert f"{tmp_path}/data/train.txt" in message
    assert f"{tmp_path}/nets/data/train.txt" in message


def test_one_place_is_named_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for find, name in ((finder(tmp_path), "x"), (finder(None), "x"), (finder(tmp_path), f"{tmp_path}/x")):
        with pytest.raises(NetdefError) as caught:
            find(name)
        assert str(caught.value).count(str(tmp_path / "x")) == (2 if name != "x" else 1)


def test_a_whole_file_takes_the_place(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    with replacing(path) as f:
        f.write(b"new")
        assert path.read_text() == "old", "until the block has ended"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_the_mode_is_what_open_would_have_given(tmp_path):
    with replacing(tmp_path / "f") as f:
        f.write(b"x")
    (tmp_path / "g").touch()
    assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == stat.S_IMODE(os.stat(tmp_path / "g").st_mode)


def test_nothing_of_the_process_is_left_changed(tmp_path):
    """Neither the umask nor the number of open files."""
    mask = os.umask(0o027)
    try:
        before = len(os.listdir("/proc/self/fd"))
        with replacing(tmp_path / "f") as f:
            f.write(b"x")
        assert len(os.listdir("/proc/self/fd")) == before
        assert os.umask(0o027) == 0o027
        assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == 0o640
    finally:
        os.umask(mask)


def test_a_whole_folder_takes_the_name(tmp_path):
    with replacing_folder(tmp_path / "d") as folder:
        (folder / "f").write_text("new")
        assert not (tmp_path / "d").exists(), "until the block has ended"
    assert (tmp_path / "d" / "f").read_text() == "new"
    assert os.listdir(tmp_path) == ["d"]
    (tmp_path / "plain").mkdir()
    assert os.stat(tmp_path / "d").st_mode == os.stat(tmp_path / "plain").st_mode


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "d") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "f").touch()
        _ = 1 / 0
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    with pytest.raises(NetdefError, match=f"{tmp_path}/d"), replacing_folder(tmp_path / "d"):
        raise AssertionError("no work is done")
    assert os.listdir(tmp_path / "d") == ["f"]


class Stop(BaseException):
    """As KeyboardInterrupt: no Exception."""


@pytest.mark.parametrize("error", [ValueError, Stop])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as f:
        f.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_disk_that_fails_late_is_a_message(tmp_path, monkeypatch, step):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "f"
    path.write_text("old")
    monkeypatch.setattr(files.os, step, full)
    no_space = r"cannot write .*/f: No space left on device; .* unchanged"
    with pytest.raises(NetdefError, match=no_space), replacing(path) as f:
        f.write(b"new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_missing_folder_is_a_message(tmp_path):
    missing = r"cannot write .*/no/f: No such file or directory"
    with pytest.raises(NetdefError, match=missing), replacing_path(tmp_path / "no" / "f"):
        pass


def test_snapshots_are_refused_before_any_work(tmp_path):
    check_writable(tmp_path / "prefix")
    assert os.listdir(tmp_path) == []
    with pytest.raises(NetdefError, match=f"cannot write snapshots as .*; make it first: mkdir -p {tmp_path}/no"):
        check_writable(tmp_path / "no" / "prefix")
    (tmp_path / "file").touch()
    with pytest.raises(NetdefError, match=r"cannot write snapshots as"):
        check_writable(tmp_path / "file" / "prefix")
