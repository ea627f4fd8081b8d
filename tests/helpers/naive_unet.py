"""The U-Net written down as its definition reads, with loops over taps: slow, and an oracle for the graph."""

import numpy as np

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


def convolve(x, conv, stride=1, dilation=1, before=0, after=0):
    """(inputs, height, width) → (outputs, …), with zeros ``before`` and ``after`` each axis."""
    x = np.pad(x, [(0, 0), (before, after), (before, after)])
    size = conv.kernel.shape[0]
    reach = (size - 1) * dilation
    rows, columns = ((n - reach - 1) // stride + 1 for n in x.shape[1:])
    out = np.broadcast_to(conv.bias[:, None, None], (len(conv.bias), rows, columns)).astype(np.float64)
    for row in range(size):
        for column in range(size):
            taken = x[:, row * dilation :: stride, column * dilation :: stride][:, :rows, :columns]
            out = out + np.einsum("oi,ihw->ohw", conv.kernel[row, column], taken)
    return out


def convolve_transposed(x, conv):
    """Stride 2, "same": every input adds the kernel to the output, of which (1, 2) border points are cropped."""
    n_outputs, (height, width) = len(conv.bias), x.shape[1:]
    out = np.zeros((n_outputs, 2 * height + 3, 2 * width + 3))
    for row in range(5):
        for column in range(5):
            out[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += np.einsum(
                "oi,ihw->ohw", conv.kernel[row, column], x
            )
    return out[:, 1 : 1 + 2 * height, 1 : 1 + 2 * width] + conv.bias[:, None, None]


def normalise(x, norm):
    scale = norm.gamma / np.sqrt(norm.variance + 1e-3)
    return (x - norm.mean[:, None, None]) * scale[:, None, None] + norm.beta[:, None, None]


def logits(magnitudes, unet, spec):
    encode, decode = ACTIVATIONS[spec.encoder_activation], ACTIVATIONS[spec.decoder_activation]
    x, skips = magnitudes.astype(np.float64), []
    for conv, norm in zip(unet.encoder, unet.encoder_norms, strict=True):
        skips.append(convolve(x, conv, stride=2, before=1, after=2))
        x = encode(normalise(skips[-1], norm))
    x = skips.pop()
    for layer, (conv, norm) in enumerate(zip(unet.decoder, unet.decoder_norms, strict=True)):
        x = normalise(decode(convolve_transposed(x, conv)), norm)
        if layer < 5:
            x = np.concatenate([skips.pop(), x])
    return convolve(x, unet.last, dilation=2, before=3, after=3)


def estimate(magnitudes, unets, spec):
    """(channels, frames, bins) → (stems, channels, frames, bins)."""
    stacked = np.stack([logits(magnitudes, unet, spec) for unet in unets])
    if spec.head == "sigmoid":
        return magnitudes / (1 + np.exp(-stacked))
    powers = np.exp(stacked - stacked.max(axis=0))
    return magnitudes * powers / powers.sum(axis=0)
