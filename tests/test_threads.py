"""The default number of threads is the number of allowed CPUs, or less if a Linux control group limits CPU time.

Memory limits of control groups are read in the same way.
"""

import ast
from pathlib import Path

import pytest
from aegen.runtime import threads
from aegen.runtime.cgroups import cpu_quota, memory_limit

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
OTHER = "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n40 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.fixture
def tree(tmp_path):
    """`tree(groups, mounts, **limits)` writes files like those in which Linux describes control groups.

    groups: content of /proc/self/cgroup. mounts: content of /proc/self/mountinfo. limits: content of the files with
    CPU limits, by path. Returns the folder that stands for the root of the file system.
    """

    def make(groups, mounts, **limits):
        files = {"proc/self/cgroup": groups, "proc/self/mountinfo": OTHER + mounts, **limits}
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return make


def test_a_quota_of_the_mounted_group_counts(tree):
    assert cpu_quota(tree("0::/\n", V2, **{"sys/fs/cgroup/cpu.max": "250000 100000\n"})) == 2.5


def test_the_smallest_quota_of_all_nested_groups_wins(tree):
    limits = {
        "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
        "sys/fs/cgroup/a/b/c.service/cpu.max": "300000 100000\n",
    }
    assert cpu_quota(tree("0::/a/b/c.service\n", V2, **limits)) == 1.5


def test_the_quota_of_an_unrelated_group_does_not_count(tree):
    limits = {"sys/fs/cgroup/a/cpu.max": "max 100000\n", "sys/fs/cgroup/b/cpu.max": "100000 100000\n"}
    assert cpu_quota(tree("0::/a\n", V2, **limits)) is None


@pytest.mark.parametrize("groups", ["5:cpu,cpuacct:/docker/12ab\n2:devices:/\n", "5:cpuacct,cpu:/docker/12ab\n"])
def test_quotas_of_v1_count(tree, groups):
    at = "sys/fs/cgroup/cpu,cpuacct/docker"
    limits = {
        f"{at}/12ab/cpu.cfs_quota_us": "-1\n",
        f"{at}/12ab/cpu.cfs_period_us": "100000\n",
        f"{at}/cpu.cfs_quota_us": "50000\n",
        f"{at}/cpu.cfs_period_us": "100000\n",
    }
    assert cpu_quota(tree(groups, V1, **limits)) == 0.5


def test_in_a_container_the_mounted_group_counts(tree):
    mounted = V1.replace(" / /sys", " /docker/12ab /sys")
    at = "sys/fs/cgroup/cpu,cpuacct"
    limits = {f"{at}/cpu.cfs_quota_us": "100000\n", f"{at}/cpu.cfs_period_us": "100000\n"}
    for path in ("/docker/12ab", "/docker/elsewhere", "/../other"):
        assert cpu_quota(tree(f"5:cpu,cpuacct:{path}\n", mounted, **limits)) == 1


def test_the_smallest_quota_of_both_versions_wins_and_names_may_have_blanks(tree):
    mounts = V1 + V2.replace("/sys/fs/cgroup ", r"/sys/fs/my\040groups ")
    at = "sys/fs/cgroup/cpu,cpuacct"
    limits = {
        f"{at}/cpu.cfs_quota_us": "400000\n",
        f"{at}/cpu.cfs_period_us": "100000\n",
        "sys/fs/my groups/a/cpu.max": "200000 100000\n",
    }
    assert cpu_quota(tree("5:cpu,cpuacct:/\n0::/a\n", mounts, **limits)) == 2


@pytest.mark.parametrize("content", ["", "max 100000", "many 100000", "100000 0", "1 2 3", "-1 100000"])
def test_an_unreadable_quota_is_no_limit(tree, content):
    assert cpu_quota(tree("0::/\nnonsense\n", V2 + "short line\n", **{"sys/fs/cgroup/cpu.max": content})) is None


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cpu_quota(tmp_path) is None


def test_the_smallest_memory_limit_of_all_nested_groups_counts(tree):
    limits = {
        "sys/fs/cgroup/a/memory.max": "536870912\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
    }
    assert memory_limit(tree("0::/a/b\n", V2, **limits)) == 512 << 20


def test_a_memory_limit_of_v1_counts_unless_it_means_no_limit(tree):
    mounts = V1.replace("cpu,cpuacct", "memory")
    root = tree("7:memory:/docker\n", mounts, **{"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"})
    assert memory_limit(root) is None
    root = tree("7:memory:/docker\n", mounts, **{"sys/fs/cgroup/memory/docker/memory.limit_in_bytes": "1000000\n"})
    assert memory_limit(root) == 1_000_000


@pytest.mark.parametrize(("quota", "allowed"), [(None, 8), (0.25, 1), (1.0, 1), (2.9, 2), (64.0, 8)])
def test_fractions_are_rounded_down_to_at_least_one_thread(monkeypatch, quota, allowed):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert threads.allowed_threads() == allowed


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "10000"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
    ],
    ids=lambda variables: " ".join(variables) or "nothing",
)
def test_threads_of_libgomp_wait_actively_for_a_short_time_unless_the_user_says_otherwise(
    environment, expected, monkeypatch
):
    variables = dict(environment)
    monkeypatch.setattr(threads.os, "environ", variables)
    threads.limit_spinning()
    assert variables == expected


@pytest.mark.parametrize("folder", ["train", "export", "plots"])
def test_folders_that_import_a_library_with_libgomp_limit_its_spinning_first(folder):
    body = ast.parse((Path(threads.__file__).parents[1] / folder / "__init__.py").read_text()).body
    assert ast.unparse(body[-1]) == "limit_spinning()"
