"""Overwriting a folder is safe for readers, and for writers that are killed.

On Linux, a reader finds either the complete old or the complete new folder at any moment. Temporary folders that killed
processes left behind are removed.
"""

import subprocess
import sys
import threading

import pytest
from aegen.files import atomic
from aegen.files.atomic import new_folder
from aegen.files.exchange import exchange
from aegen.files.locks import FolderLock, locked_folder
from aegen.runtime.errors import OutputError


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "content").write_text("old")
    return tmp_path / "target"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def overwrite(target, text):
    with new_folder(target, overwrite=True) as folder:
        (folder / "content").write_text(text)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may need two steps")
def test_an_overwritten_folder_is_never_missing(target):
    missing, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            try:
                (target / "content").read_bytes()
            except FileNotFoundError:
                missing.append(True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(300):
        overwrite(target, str(number))
    stop.set()
    watcher.join()
    assert not missing
    assert (target / "content").read_text() == "299"
    assert names(target.parent) == ["target"]


def test_without_an_exchange_in_one_step_the_old_folder_is_moved_aside(target, monkeypatch):
    monkeypatch.setattr(atomic, "exchange", lambda first, second: False)
    overwrite(target, "new")
    assert (target / "content").read_text() == "new"
    assert names(target.parent) == ["target"]


def test_an_exchange_that_the_system_refuses_returns_false_and_changes_nothing(target):
    assert not exchange(target, target.with_name("nowhere"))
    assert (target / "content").read_text() == "old"


def test_the_temporary_folder_of_a_killed_process_is_removed_and_nothing_else(target):
    code = """
import os, signal, sys
from aegen.files.atomic import new_folder
with new_folder(sys.argv[1], overwrite=True) as folder:
    (folder / "content").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, target], check=False, timeout=60)
    assert len(list(target.parent.glob(".target.*.partial"))) == 1
    others = [".target.partial", ".target2.0123abcd.partial", ".target.0123abcd.partial2", "target.0123abcd.partial"]
    for name in others:
        (target.parent / name).mkdir()
    overwrite(target, "new")
    assert names(target.parent) == sorted(["target", *others])
    assert (target / "content").read_text() == "new"


def test_two_writers_of_one_folder_do_not_remove_each_others_work(target):
    with new_folder(target, overwrite=True) as first:
        (first / "content").write_text("first")
        with new_folder(target, overwrite=True) as second:
            (second / "content").write_text("second")
            assert first.is_dir()
            with pytest.raises(BlockingIOError):
                FolderLock(first)
        assert (target / "content").read_text() == "second"
    assert (target / "content").read_text() == "first"
    assert names(target.parent) == ["target"]


def test_a_locked_folder_is_refused_to_others_and_removed_when_it_stays_empty(tmp_path):
    with locked_folder(tmp_path / "run"):
        with (
            pytest.raises(OutputError, match="run: found another process that writes to it"),
            locked_folder(tmp_path / "run"),
        ):
            pass
        (tmp_path / "run" / "kept").touch()
    with locked_folder(tmp_path / "run"), locked_folder(tmp_path / "other"):
        pass
    assert names(tmp_path) == ["run"]


def test_a_lock_on_a_linked_folder_is_the_lock_of_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with locked_folder(tmp_path / "link"), pytest.raises(BlockingIOError):
        FolderLock(tmp_path / "run")


def test_a_link_with_the_name_of_a_temporary_folder_is_not_removed(target):
    link = target.with_name(".target.0123abcd.partial")
    link.symlink_to(target)
    overwrite(target, "new")
    assert link.is_symlink()
    assert (target / "content").read_text() == "new"
