"""Networks of a model open in background threads; if a network cannot be opened, its first run raises the error."""

import subprocess
import sys
import threading
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime.artifact import DECODER, Artifact
from aegen.runtime.errors import ArtifactError
from aegen.runtime.manifest import Graph
from aegen.runtime.session import Network
from aegen.runtime.startup import import_late, import_while_opening, open_in_background

TINY = Path(__file__).parent / "tiny" / "grey"


def wait_for_openings():
    for thread in threading.enumerate():
        if thread.name == "aegen-opening":
            thread.join()


def network(opened):
    """Make the decoder of a tiny artifact. When it opens, the name of the current thread is appended to `opened`."""
    artifact = Artifact.open(TINY)

    def read():
        opened.append(threading.current_thread().name)
        return artifact.read(DECODER)

    return Network(read, DECODER, artifact.manifest.graphs[DECODER], artifact.manifest.image.range)


def test_a_network_opens_once_on_a_thread_of_its_own():
    opened = []
    decoder = network(opened)
    open_in_background([decoder, decoder])
    wait_for_openings()
    open_in_background([decoder])
    decoder.open()
    wait_for_openings()
    assert len(decoder.run("image", {"latent": np.zeros((2, 3), np.float32)})) == 2
    assert opened == ["aegen-opening"]


def test_registered_imports_run_once_after_networks_have_begun_to_open():
    events = []
    import_while_opening(lambda: events.append("imported"))
    assert events == []
    open_in_background([network([])])
    open_in_background([])
    assert events == ["imported"]
    wait_for_openings()


def test_registered_imports_run_once_each_when_several_threads_open_networks():
    runs = []
    for number in range(1000):
        import_while_opening(lambda number=number: runs.append(number))
    threads = [threading.Thread(target=open_in_background, args=([],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(runs) == list(range(1000))


def missing():
    raise ArtifactError("no such graph")


@pytest.mark.parametrize(
    ("read", "words"), [(lambda: b"no graph", r"broken\.onnx: protobuf"), (missing, "no such graph")]
)
def test_an_error_in_the_background_is_raised_by_the_first_run_and_printed_nowhere(read, words, capfd):
    broken = Network(read, "broken.onnx", Graph((), ()))
    open_in_background([broken])
    wait_for_openings()
    with pytest.raises(ArtifactError, match=words):
        broken.run("image", {})
    assert capfd.readouterr() == ("", "")


def test_iter_sample_begins_to_open_networks_before_the_first_image_is_requested():
    events = []
    model = aegen.load(TINY, threads=2)
    import_while_opening(lambda: events.append("opening"))
    chunks = model.iter_sample(3)
    assert events == ["opening"]
    assert sum(map(len, chunks)) == 3


def test_where_no_thread_can_be_started_the_first_run_opens_the_network(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    opened = []
    decoder = network(opened)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    open_in_background([decoder])
    decoder.open()
    assert opened == [threading.current_thread().name]


def test_a_late_import_gives_the_module():
    assert import_late("zipfile") is sys.modules["zipfile"]


def test_loading_a_model_imports_neither_numpy_random_nor_zipfile():
    code = f"""
import sys, aegen
aegen.load({str(TINY)!r})
print([name for name in ("numpy.random", "zipfile", "PIL") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
