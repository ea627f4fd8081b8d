"""Devices, precisions and processors."""

import pytest

from unweave.engines.choose import Runtime
from unweave.engines.processors import available_processors
from unweave.errors import OptionError


def test_the_cpu_has_no_number():
    assert Runtime("cpu:0").device == "cpu"
    assert Runtime("mps:0").device == "mps"
    assert Runtime("cuda:3").device == "cuda:3"


@pytest.mark.parametrize(
    "device", ["", "tpu", "cpu:", "cpu:1", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "CPU", "mps:1"]
)
def test_devices_that_do_not_exist(device):
    with pytest.raises(OptionError, match="expected one of the devices"):
        Runtime(device)


@pytest.mark.parametrize("precision", ["", "int3", "float64", "FLOAT32"])
def test_precisions_that_do_not_exist(precision):
    with pytest.raises(OptionError, match="expected one of the precisions"):
        Runtime("cpu", precision)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu.max": "6400000 100000"}, 64),
        ({"cpu.max": "nonsense"}, 64),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_a_containers_quota_counts(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert available_processors(tmp_path) == expected


@pytest.mark.parametrize(
    ("own", "quotas", "expected"),
    [
        ("0::/a/b", {"a/b": "max 100000", "a": "300000 100000", "": "500000 100000"}, 3),  # the smallest on the way up
        ("0::/a/b", {"a/b": "150000 100000", "a": "300000 100000"}, 2),
        ("0::/a/b", {"a/c": "100000 100000"}, 8),  # a neighbour's
        ("0::/gone", {"": "400000 100000"}, 4),  # a container that sees its own part of the tree only
        ("0::/../a", {"": "400000 100000", "a": "100000 100000"}, 4),
        ("3:cpuset:/a\n2:cpu,cpuacct:/b\n0::/", {"cpu/b": "200000 100000", "cpu": "-1 100000", "a": "1 1"}, 2),
        ("", {"a": "100000 100000"}, 8),
    ],
)
def test_the_quotas_of_all_groups_around_the_process_count(tmp_path, monkeypatch, own, quotas, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    for group, text in quotas.items():
        folder = tmp_path / "tree" / group
        folder.mkdir(parents=True, exist_ok=True)
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if group.startswith("cpu") else ("cpu.max",)
        for name, part in zip(names, text.split() if len(names) > 1 else [text], strict=True):
            (folder / name).write_text(part)
    (tmp_path / "own").write_text(own)
    assert available_processors(tmp_path / "tree", tmp_path / "own") == expected
