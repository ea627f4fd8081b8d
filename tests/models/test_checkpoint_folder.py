"""Which checkpoint a folder holds."""

import numpy as np

from tests.helpers.bundles import write_bundle
from unweave.models.checkpoint_folder import checkpoint_name, has_checkpoint


def test_the_checkpoint_file_names_the_newest(tmp_path):
    for step in (100, 200):
        write_bundle(tmp_path / f"model.ckpt-{step}", {"x": np.zeros(1, np.float32)})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/somewhere/else/model.ckpt-200"\nall_model_checkpoint_paths: "model.ckpt-100"\n'
    )
    assert checkpoint_name(tmp_path) == "model.ckpt-200"
    assert has_checkpoint(tmp_path)


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert not has_checkpoint(tmp_path)
    assert not has_checkpoint(tmp_path / "missing")
