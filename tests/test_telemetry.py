"""aegen turns telemetry of onnxruntime off: using a model writes no file in the home folder and leaves no thread."""

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


def test_using_a_model_writes_no_file_under_home_and_leaves_no_thread(run_in_base_env, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    cleared = {name: "" for name in os.environ if name in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    code = "import os\n" + "".join(f"os.environ.pop({name!r}, None)\n" for name in cleared) + CODE
    assert run_in_base_env(code, HOME=str(home)).split() == ["0", "1"]
    assert list(home.rglob("*")) == []


def test_a_telemetry_variable_that_the_user_has_set_is_kept(run_in_base_env):
    code = "import aegen, os; aegen.load; import aegen.runtime.session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run_in_base_env(code, ORT_DISABLE_TELEMETRY="true").strip() == "true"
