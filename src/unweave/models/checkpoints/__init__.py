"""Other people's checkpoints as named arrays: PyTorch's ``.ckpt``, ``.th`` and ``.pth``, safetensors and ONNX files.

Nothing in a file is ever executed, and PyTorch is not needed. `read_tensors` is the way in.
"""

from unweave.models.checkpoints.configuration import read_configuration
from unweave.models.checkpoints.read import Checkpoint, is_checkpoint_name, read_tensors
from unweave.models.checkpoints.tensors import Tensors
from unweave.models.checkpoints.write import write_safetensors

__all__ = ["Checkpoint", "Tensors", "is_checkpoint_name", "read_configuration", "read_tensors", "write_safetensors"]
