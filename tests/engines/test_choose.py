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
