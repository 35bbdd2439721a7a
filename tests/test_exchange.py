"""A folder that is overwritten is the old one or the new one at every moment; what a killed process left is removed."""

import subprocess
import sys
import threading

import pytest
from aegen.files import atomic as files
from aegen.files.atomic import new_folder
from aegen.files.exchange import exchange, hold


@pytest.fixture
def target(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "content").write_text("old")
    return tmp_path / "made"


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def overwrite(target, text):
    with new_folder(target, overwrite=True) as folder:
        (folder / "content").write_text(text)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells by /proc what a path is")
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
    assert names(target.parent) == ["made"]


def test_where_nothing_exchanges_in_one_step_the_old_folder_is_moved_aside(target, monkeypatch):
    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    overwrite(target, "new")
    assert (target / "content").read_text() == "new"
    assert names(target.parent) == ["made"]


def test_an_exchange_that_the_system_refuses_says_so_and_changes_nothing(target):
    assert not exchange(target, target.with_name("nowhere"))
    assert (target / "content").read_text() == "old"


def test_a_folder_that_a_killed_process_left_is_removed_and_nothing_else(target):
    code = """
import os, signal, sys
from aegen.files.atomic import new_folder
with new_folder(sys.argv[1], overwrite=True) as folder:
    (folder / "content").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, target], check=False, timeout=60)
    assert len(list(target.parent.glob(".made.*.partial"))) == 1
    others = [".made.partial", ".made2.0123abcd.partial", ".made.0123abcd.partial2", "made.0123abcd.partial"]
    for name in others:
        (target.parent / name).mkdir()
    overwrite(target, "new")
    assert names(target.parent) == sorted(["made", *others])
    assert (target / "content").read_text() == "new"


def test_two_that_write_the_same_folder_at_once_do_not_remove_each_others_work(target):
    with new_folder(target, overwrite=True) as first:
        (first / "content").write_text("first")
        with new_folder(target, overwrite=True) as second:
            (second / "content").write_text("second")
            assert first.is_dir()
            assert hold(first, wait=False) is None
        assert (target / "content").read_text() == "second"
    assert (target / "content").read_text() == "first"
    assert names(target.parent) == ["made"]
