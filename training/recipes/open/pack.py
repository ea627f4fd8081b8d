"""Put a trained model into the package, in half precision: its network as ONNX, its weights for PyTorch, its card.

    python pack.py TRAINED PACKAGE/models/weights/NAME

The weights are the mean of the best ones by validation and the last ones, both averages over many steps already: as
good as the better of the two for each stem. Prints the lines for the catalogue.
"""

import dataclasses
import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper

from sources import all_credits
from unweave.models.export import METADATA_KEY, spec_from_json, spec_to_json
from unweave.models.torch_network import new_network, save_onnx

LICENCE = "CC-BY-SA-4.0"  # the strictest of the data's


def mean_network(checkpoint, spec):
    """The network between the best and the last weights of a run."""
    best, last = checkpoint["tensors"]["best"], checkpoint["tensors"]["average"]
    mean = {
        key: (tensor + last[f"module.{key}"]) / 2 if tensor.is_floating_point() else tensor
        for key, tensor in best.items()
    }
    network = new_network(spec)
    network.load_state_dict(mean)
    return network.eval()


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


def card(trained, name, checkpoint):
    """The card that training wrote, under the model's own name, with every source and its makers."""
    text = (trained / "README.md").read_text()
    _, _, rest = text.partition("\n")
    before, _, after = re.split(r"```sh\n(.*)\n```", rest)
    best, last = checkpoint["best_step"], checkpoint["step"]
    text = f"# {name}\n{before}```sh\nmake -C training/recipes/open\n```{after}"
    text = text.replace("Weights: unknown licence", f"Weights: {LICENCE}, which allows commercial use")
    if best != last:
        text = text.replace(f"those of step {best}.", f"the mean of those of steps {best} and {last}.")
    rows = [f"| {' | '.join(row)} |" for row in all_credits()]
    table = "\n".join(["| from | commit | licence | what |", "|---|---|---|---|", *rows])
    return f"{text}\n## Sources and credits\n\n{table}\n"


def main():
    trained, target = Path(sys.argv[1]), Path(sys.argv[2])
    name = target.name
    target.mkdir(parents=True, exist_ok=True)
    checkpoint = torch.load(trained / "checkpoint.pt", map_location="cpu", weights_only=True)
    spec = dataclasses.replace(spec_from_json(checkpoint["model"]), name=name, weights=name, licence=LICENCE)
    network = mean_network(checkpoint, spec)
    description = {METADATA_KEY: spec_to_json(spec)}
    path = target / f"{name}.onnx"
    save_onnx(network, spec, path)
    model = halved(onnx.load(path))
    onnx.helper.set_model_props(model, description)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    halves = {key: t.half() if t.is_floating_point() else t for key, t in network.state_dict().items()}
    path.with_suffix(".safetensors").write_bytes(safetensors.torch.save(halves, metadata=description))
    (target / "README.md").write_text(card(trained, name, checkpoint))
    for file in sorted(target.glob(f"{name}.*")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f'WeightsFile("{file.name}", "{digest}", {file.stat().st_size:_}),')


if __name__ == "__main__":
    main()
