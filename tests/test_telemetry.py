"""Using aegen writes nothing under the home folder and starts no thread of its own accord, as telemetry would."""

import os

CODE = """
import os, sys, numpy
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
import aegen
model = aegen.load(threads=1)
model.verify()
model.sample(64, seed=0)
print(threads() - before, os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_no_file_and_no_thread(run_bare, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    quiet = {name: "" for name in os.environ if name in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    code = "import os\n" + "".join(f"os.environ.pop({name!r}, None)\n" for name in quiet) + CODE
    assert run_bare(code, HOME=str(home)).split() == ["0", "1"]
    assert list(home.rglob("*")) == []


def test_a_choice_made_by_the_user_is_kept(run_bare):
    code = "import aegen, os; aegen.load; import aegen.runtime.session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run_bare(code, ORT_DISABLE_TELEMETRY="true").strip() == "true"
