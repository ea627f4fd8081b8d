"""The original's U-Nets in PyTorch, for graphics processors and for training.

A. Jansson, E. Humphrey, N. Montecchio, R. Bittner, A. Kumar, T. Weyde, "Singing voice separation with deep U-Net
convolutional networks", ISMIR 2017; the details are those of Spleeter's ``unet.unet`` and ``unet.softmax_unet``. Two
options go beyond: attention gates on the skips (O. Oktay et al., "Attention U-Net", arXiv 1804.03999, equation 1) and
residual blocks in the encoder (K. He et al., arXiv 1512.03385).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unweave.families.unet.weights import NORM_EPSILON, Convolution, Norm, UNetWeights
from unweave.models.spec import MaskModelSpec

DROPOUT = 0.5  # after the first three layers of the decoder, in training
N_DROPOUTS = 3

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU}


class UNet(nn.Module):
    """One stem's network: magnitudes (segments, channels, frames, bins) → logits of its mask, of the same shape."""

    def __init__(self, spec: MaskModelSpec) -> None:
        super().__init__()
        widths = (spec.n_channels, *spec.n_filters)
        ups = (*reversed(spec.n_filters[:-1]), 1)
        inputs = (spec.n_filters[-1], *(2 * width for width in ups[:-1]))
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2) for a, b in pairwise(widths))
        self.encoder_norms = nn.ModuleList(nn.BatchNorm2d(width, eps=NORM_EPSILON) for width in spec.n_filters)
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(a, b, 5, stride=2) for a, b in zip(inputs, ups, strict=True))
        self.decoder_norms = nn.ModuleList(nn.BatchNorm2d(width, eps=NORM_EPSILON) for width in ups)
        self.last = nn.Conv2d(1, spec.n_channels, 4, dilation=2, padding=3)
        self.encode = _activation(spec.encoder_activation)
        self.decode = _activation(spec.decoder_activation)
        self.dropout = nn.Dropout(DROPOUT)
        skips = reversed(spec.n_filters[:-1])
        self.gates = nn.ModuleList(AttentionGate(width) for width in skips) if spec.attention_gates else None
        blocks = [ResidualBlock(width) for width in spec.n_filters] if spec.residual_blocks else []
        self.blocks = nn.ModuleList(blocks or [nn.Identity() for _ in spec.n_filters])

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        x, skips = magnitudes, []
        for conv, norm, block in zip(self.encoder, self.encoder_norms, self.blocks, strict=True):
            # Keras' "same" padding at stride 2: one before, two after. The skip is taken before the norm.
            skips.append(conv(nn.functional.pad(x, (1, 2, 1, 2))))
            x = block(self.encode(norm(skips[-1])))
        x = skips.pop()
        for layer, (conv, norm) in enumerate(zip(self.decoder, self.decoder_norms, strict=True)):
            height, width = x.shape[-2:]
            x = conv(x)[..., 1 : 1 + 2 * height, 1 : 1 + 2 * width]
            x = norm(self.decode(x))
            if layer < N_DROPOUTS:
                x = self.dropout(x)
            if skips:
                skip = skips.pop()
                x = torch.cat([skip if self.gates is None else self.gates[layer](skip, x), x], dim=1)
        logits: Tensor = self.last(x)
        return logits


class AttentionGate(nn.Module):
    """Lets through of a skip what the decoder, of the same shape, has use for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_skip = nn.Conv2d(width, width // 2, 1)
        self.of_decoder = nn.Conv2d(width, width // 2, 1)
        self.weight = nn.Conv2d(width // 2, 1, 1)

    def forward(self, skip: Tensor, decoded: Tensor) -> Tensor:
        """The skip, each place weighted between 0 and 1."""
        weighted: Tensor = skip * torch.sigmoid(self.weight(torch.relu(self.of_skip(skip) + self.of_decoder(decoded))))
        return weighted


class ResidualBlock(nn.Module):
    """A convolution more, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape out."""
        added: Tensor = x + torch.relu(self.norm(self.conv(x)))
        return added


class UNets(nn.Module):
    """A network per stem: magnitudes (segments, channels, frames, bins) → (stems, …) estimated magnitudes."""

    def __init__(self, spec: MaskModelSpec) -> None:
        super().__init__()
        self.stems = nn.ModuleList(UNet(spec) for _ in spec.stems)
        self.head = spec.head

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        logits = torch.stack([unet(magnitudes) for unet in self.stems])
        masks = torch.sigmoid(logits) if self.head == "sigmoid" else torch.softmax(logits, dim=0)
        return masks * magnitudes


def unets_from_weights(weights: Sequence[UNetWeights], spec: MaskModelSpec) -> UNets:
    """The networks with given weights, ready for use (in evaluation mode)."""
    unets = UNets(spec)
    with torch.no_grad():
        for unet, source in zip(unets.stems, weights, strict=True):
            assert isinstance(unet, UNet)
            for layer in range(len(source.encoder)):
                _load_convolution(unet.encoder[layer], source.encoder[layer])
                _load_norm(unet.encoder_norms[layer], source.encoder_norms[layer])
                _load_convolution(unet.decoder[layer], source.decoder[layer])
                _load_norm(unet.decoder_norms[layer], source.decoder_norms[layer])
            _load_convolution(unet.last, source.last)
    return unets.eval()


def unets_to_weights(unets: UNets) -> tuple[UNetWeights, ...]:
    """The inverse of `unets_from_weights`."""
    weights = []
    for unet in unets.stems:
        assert isinstance(unet, UNet)
        weights.append(
            UNetWeights(
                encoder=tuple(_convolution(conv) for conv in unet.encoder),
                encoder_norms=tuple(_norm(norm) for norm in unet.encoder_norms),
                decoder=tuple(_convolution(conv) for conv in unet.decoder),
                decoder_norms=tuple(_norm(norm) for norm in unet.decoder_norms),
                last=_convolution(unet.last),
            )
        )
    return tuple(weights)


def _activation(kind: str) -> nn.Module:
    return nn.LeakyReLU(0.2) if kind == "leaky_relu" else ACTIVATIONS[kind]()


# Kernels here are (height, width, outputs, inputs); PyTorch's are (outputs, inputs, …), transposed ones (inputs,
# outputs, …).


def _load_convolution(module: nn.Module, source: Convolution) -> None:
    assert isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    axes = (3, 2, 0, 1) if isinstance(module, nn.ConvTranspose2d) else (2, 3, 0, 1)
    assert module.bias is not None
    module.weight.copy_(torch.from_numpy(source.kernel.transpose(axes).copy()))
    module.bias.copy_(torch.from_numpy(source.bias.copy()))


def _load_norm(module: nn.Module, source: Norm) -> None:
    assert isinstance(module, nn.BatchNorm2d)
    assert module.running_mean is not None
    assert module.running_var is not None
    for target, array in (
        (module.weight, source.gamma),
        (module.bias, source.beta),
        (module.running_mean, source.mean),
        (module.running_var, source.variance),
    ):
        target.copy_(torch.from_numpy(array.copy()))


def _convolution(module: nn.Module) -> Convolution:
    assert isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    assert module.bias is not None
    axes = (2, 3, 1, 0) if isinstance(module, nn.ConvTranspose2d) else (2, 3, 0, 1)
    kernel = module.weight.detach().float().cpu().numpy().transpose(axes)
    return Convolution(kernel, module.bias.detach().float().cpu().numpy())


def _norm(module: nn.Module) -> Norm:
    assert isinstance(module, nn.BatchNorm2d)
    assert module.running_mean is not None
    assert module.running_var is not None
    arrays = (module.weight, module.bias, module.running_mean, module.running_var)
    return Norm(*(array.detach().float().cpu().numpy() for array in arrays))
