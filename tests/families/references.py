"""What the makers of references share; needs PyTorch."""

import numpy as np
import torch


def with_random_weights(network, random_weights):
    """``network`` with every parameter and buffer random, but for counters of norms; and the shapes of its arrays."""
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    weights = {name: torch.from_numpy(array) for name, array in random_weights(shapes).items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return network.eval(), shapes


def spectra_of(network, mix):
    """What the network gives its inverse transform, (stems · channels, bins, frames), complex."""
    caught, original = [], torch.istft

    def catch(spectrum, *given, **options):
        caught.append(spectrum)
        return original(spectrum, *given, **options)

    torch.istft = catch
    try:
        with torch.no_grad():
            network(torch.from_numpy(mix)[None])
    finally:
        torch.istft = original
    return caught[0].numpy()


def lines_of(shapes):
    """Names and shapes as they are stored."""
    return np.array(sorted(f"{name} {shape}" for name, shape in shapes.items()))
