"""Put trained models into the package, in half precision: their network as ONNX, its weights for PyTorch, its card.

    python pack.py TRAINED [TRAINED ...] PACKAGE/models/weights/NAME [--teacher CARD]

TRAINED is the folder of a run. Its weights are the mean of the best ones by validation and the last ones, both averages
over many steps already: as good as the better of the two for each stem. Or it is a packed .safetensors file, to go on
from. Several make an ensemble, whose estimates are averaged. CARD is the model card of what a network was distilled
from, whose data it owes as much to: its text is kept in the new card. Prints the lines for the catalogue.
"""

import argparse
import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper

from sources import all_credits
from unweave.families.torch_network import (
    Ensemble,
    count_operations,
    load_network,
    new_network,
    save_onnx,
    with_time_attention,
)
from unweave.models.export import METADATA_KEY, read_exported_spec, spec_from_json, spec_to_json, write_graph

LICENCE = "CC-BY-SA-4.0"  # the strictest of the data's
CREDITS = "\n## Sources and credits\n"


@dataclasses.dataclass
class Member:
    """One trained network, with what its card says below the title."""

    spec: object
    network: torch.nn.Module
    card: str


def read_member(path):
    """The network of a run's folder or of a packed file."""
    if path.suffix == ".safetensors":
        spec = read_exported_spec(path)
        return Member(spec, load_network(spec, path), body((path.parent / "README.md").read_text()))
    checkpoint = torch.load(path / "checkpoint.pt", map_location="cpu", weights_only=True)
    spec = spec_from_json(checkpoint["model"])
    best, last = checkpoint["best_step"], checkpoint["step"]
    text = body((path / "README.md").read_text())
    if best != last:
        text = text.replace(f"those of step {best}.", f"the mean of those of steps {best} and {last}.")
    return Member(spec, mean_network(checkpoint, spec), text)


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


def together(members):
    """The network of all members, and its description; one alone stays as it is."""
    first = members[0]
    if len(members) == 1:
        return first.network, first.spec
    attends = any(member.spec.time_attention for member in members)
    networks = [with_time_attention(member.network, member.spec) if attends else member.network for member in members]
    spec = dataclasses.replace(first.spec, time_attention=attends, ensemble=len(networks))
    return Ensemble(networks).eval(), spec


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


def pack(network, spec, stem):
    """Write ``stem``.safetensors and ``stem``.onnx: the same numbers, of half precision, in both.

    A norm that is multiplied into a weight before it is rounded makes another network: −74 dB from the first.
    """
    halves = {key: t.half() if t.is_floating_point() else t for key, t in network.state_dict().items()}
    stem.with_suffix(".safetensors").write_bytes(
        safetensors.torch.save(halves, metadata={METADATA_KEY: spec_to_json(spec)})
    )
    network.load_state_dict(halves)
    path = stem.with_suffix(".onnx")
    save_onnx(network, spec, path, norms_apart=True)
    model = halved(onnx.load(path))
    onnx.checker.check_model(model)
    write_graph(model, spec, path)


def body(text):
    """A card without its title, its credits and the command, which is the recipe's."""
    text = text.partition(CREDITS)[0].partition("\n")[2]
    return re.sub(r"```sh\n.*\n```", "```sh\nmake -C training/recipes/open\n```", text)


def card(name, network, spec, members, teacher):
    """The cards that training wrote, under the model's own name, with every source and its makers."""
    if len(members) == 1:
        licence = f"The weights are under {LICENCE}, which allows commercial use."
        text = re.sub(r"Weights: .*", licence, members[0].card, count=1)
    else:
        millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        gigaflops = count_operations(network, spec) / 1e9
        text = (
            f"\nSeparates music into {', '.join(spec.stems)} with {len(members)} networks over split bands, "
            f"whose estimates are averaged: {millions:.2f} million parameters, {gigaflops:.2f} GFLOP per second of "
            f"audio at {spec.sample_rate} Hz. The weights are under {LICENCE}, which allows commercial use.\n"
        )
        for number, member in enumerate(members, 1):
            own = re.sub(r"^#", "##", member.card.strip(), flags=re.MULTILINE)
            text += f"\n## Network {number}\n\n{re.sub(r' Weights: .*', '', own)}\n"
    if teacher is not None:
        own = re.sub(r"^#", "##", body(teacher.read_text()).strip(), flags=re.MULTILINE)
        text = f"{text.rstrip()}\n\n## What it was distilled from\n\n{own}\n"
    rows = [f"| {' | '.join(row)} |" for row in all_credits()]
    table = "\n".join(["| from | commit | licence | what |", "|---|---|---|---|", *rows])
    return f"# {name}\n{text}{CREDITS}\n{table}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", nargs="+", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--teacher", type=Path)
    arguments = parser.parse_args()
    members, target = [read_member(path) for path in arguments.trained], arguments.target
    name = target.name
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)  # attention that a member lacks adds nothing, but has weights: the same files each time
    network, spec = together(members)
    spec = dataclasses.replace(spec, name=name, weights=name, licence=LICENCE)
    pack(network, spec, target / name)
    (target / "README.md").write_text(card(name, network, spec, members, arguments.teacher))
    for file in sorted(target.glob(f"{name}.*")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f'WeightsFile("{file.name}", "{digest}", {file.stat().st_size:_}),')


if __name__ == "__main__":
    main()
