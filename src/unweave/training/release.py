"""What a training run leaves: a folder with the network, and a card that says where it comes from."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from unweave.families.torch_network import count_operations, save_network, save_onnx
from unweave.models.added import CARD, GRAPH, WEIGHTS
from unweave.models.export import write_file
from unweave.models.spec import MaskModelSpec
from unweave.training.checkpoint import TrainingState
from unweave.training.shards import Shards


def release(
    network: nn.Module,
    spec: MaskModelSpec,
    shards: Shards,
    state: TrainingState,
    folder: Path,
    command: Sequence[str],
    start: str | None = None,
    teacher: str | None = None,
) -> Path:
    """Write weights, graph and card into ``folder``; `unweave.models.added.add_model` takes it.

    ``start`` is the model whose weights the training began with, ``teacher`` the one whose estimates it learnt from.
    """
    network = network.cpu().float().eval()
    save_network(network, spec, folder / WEIGHTS)
    save_onnx(network, spec, folder / GRAPH)
    card = _card(network, spec, shards, state, command, start, teacher)
    write_file(folder / CARD, card.encode("utf-8", "backslashreplace"))  # the command may name any file
    return folder


def _card(
    network: nn.Module,
    spec: MaskModelSpec,
    shards: Shards,
    state: TrainingState,
    command: Sequence[str],
    start: str | None,
    teacher: str | None,
) -> str:
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    kind = "one network over split bands" if spec.network == "bands" else f"{len(spec.stems)} U-Nets"
    # A model in a file is known by its folder.
    origin = f", from the weights of {Path(start).parent.name or start}" if start else ""
    if teacher:
        origin += f", learning from the estimates of {Path(teacher).parent.name or teacher} too"
    lines = [
        f"# {spec.name}",
        "",
        f"Separates music into {', '.join(spec.stems)}: {kind}, {n_parameters / 1e6:.2f} million parameters, "
        f"{count_operations(network, spec) / 1e9:.2f} GFLOP per second of audio at {spec.sample_rate} Hz. "
        f"Weights: {spec.licence} licence.",
        "",
        f"Trained for {state.step} steps, {state.seconds / 60:.0f} minutes{origin}, with",
        "",
        "```sh",
        shlex.join(command),
        "```",
        "",
        f"The weights are those of step {state.best_step or state.step}.",
        "",
        "## Data",
        "",
        "| licence | stem | tracks | minutes |",
        "|---|---|---|---|",
    ]
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for clip in shards.clips:
        seconds[clip.licence, clip.stem].append(clip.n_samples / shards.sample_rate)
    for (licence, stem), series in sorted(seconds.items()):
        lines.append(f"| {licence} | {stem} | {len(series)} | {sum(series) / 60:.1f} |")
    lines += ["", "## Scores", ""]
    if state.curve:
        lines += [
            "Median SDR in dB on the held-out tracks:",
            "",
            "| step | minutes | " + " | ".join(spec.stems) + " |",
            "|---" * (len(spec.stems) + 2) + "|",
        ]
        for point in state.curve:
            values = [f"{point['sdr_db'][stem]:.2f}" if stem in point["sdr_db"] else "" for stem in spec.stems]
            lines.append(f"| {point['step']} | {point['seconds'] / 60:.1f} | " + " | ".join(values) + " |")
    else:
        lines.append("None: no track was held out.")
    return "\n".join(lines) + "\n"
