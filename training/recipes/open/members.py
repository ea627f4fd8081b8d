"""The networks of an ensemble, each in a file of its own, to train on from or to distil into.

    python members.py ENSEMBLE.safetensors OUT

Writes OUT/1/model.safetensors, OUT/2/model.safetensors and so on, in single precision.
"""

import dataclasses
import sys
from pathlib import Path

from unweave.families.torch_network import load_network, save_network
from unweave.models.export import read_exported_spec


def main():
    path, out = Path(sys.argv[1]), Path(sys.argv[2])
    spec = read_exported_spec(path)
    for number, network in enumerate(load_network(spec, path).networks, 1):
        name = f"{spec.name}-{number}"
        target = out / str(number) / "model.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_network(network, dataclasses.replace(spec, ensemble=1, name=name, weights=name), target)
        print(target)


if __name__ == "__main__":
    main()
