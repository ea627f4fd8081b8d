"""Which checkpoint a folder holds."""

import tracemalloc

import numpy as np
import pytest

from tests.helpers.bundles import write_bundle
from unweave.errors import CheckpointError
from unweave.models.checkpoint_folder import checkpoint_name, has_checkpoint
from unweave.models.tf_checkpoint import TensorBundle


def test_the_checkpoint_file_names_the_newest(tmp_path):
    for step in (100, 200):
        write_bundle(tmp_path / f"model.ckpt-{step}", {"x": np.zeros(1, np.float32)})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/somewhere/else/model.ckpt-200"\nall_model_checkpoint_paths: "model.ckpt-100"\n'
    )
    assert checkpoint_name(tmp_path) == "model.ckpt-200"
    assert has_checkpoint(tmp_path)


def test_files_of_gigabytes_are_not_read_whole(tmp_path):
    """They may lie in somebody's album, in a folder called as Spleeter's."""
    write_bundle(tmp_path / "model", {"x": np.zeros(1, np.float32)})
    for name in ("checkpoint", "large.index"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 30)
    tracemalloc.start()
    try:
        assert has_checkpoint(tmp_path)
        with pytest.raises(CheckpointError, match="larger than the index of any model"):
            TensorBundle(tmp_path / "large")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert not has_checkpoint(tmp_path)
    assert not has_checkpoint(tmp_path / "missing")
