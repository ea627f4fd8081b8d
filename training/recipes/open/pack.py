"""Put a trained model into the package, in half precision: its network as ONNX, its weights for PyTorch, its card.

    python pack.py TRAINED PACKAGE/models/weights/NAME

Prints the lines for the catalogue.
"""

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import safetensors.torch
from onnx import TensorProto, helper, numpy_helper

from sources import all_credits
from unweave.models.export import METADATA_KEY, read_exported_spec, spec_to_json

LICENCE = "CC-BY-SA-4.0"  # the strictest of the data's


def halved(model):
    """``model`` with its large weights in half precision, which a cast makes single again when it is loaded."""
    graph, kept, casts = model.graph, [], []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < 64:
            kept.append(tensor)
            continue
        half = f"{tensor.name}_half"
        kept.append(numpy_helper.from_array(array.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return model


def main():
    trained, target = Path(sys.argv[1]), Path(sys.argv[2])
    name = target.name
    target.mkdir(parents=True, exist_ok=True)
    known = read_exported_spec(trained / "model.onnx")
    spec = dataclasses.replace(known, name=name, weights=name, licence=LICENCE)
    description = {METADATA_KEY: spec_to_json(spec)}
    model = halved(onnx.load(trained / "model.onnx"))
    onnx.helper.set_model_props(model, description)
    onnx.checker.check_model(model)
    (target / f"{name}.onnx").write_bytes(model.SerializeToString())
    tensors = safetensors.torch.load_file(trained / "model.safetensors")
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    (target / f"{name}.safetensors").write_bytes(safetensors.torch.save(halves, metadata=description))
    rows = [f"| {' | '.join(row)} |" for row in all_credits()]
    table = "\n".join(["| from | commit | licence | what |", "|---|---|---|---|", *rows])
    (target / "README.md").write_text(f"{(trained / 'README.md').read_text()}\n## Sources and credits\n\n{table}\n")
    print(spec)
    for path in sorted(target.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f'WeightsFile("{path.name}", "{digest}", {path.stat().st_size:_}),')


if __name__ == "__main__":
    main()
