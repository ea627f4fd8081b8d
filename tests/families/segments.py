"""What the tests of families with segments share: signals, ZFTurbo's recipe, the stream; needs NumPy alone."""

import numpy as np


def mixture(n_samples, seed=1):
    """Noise that swells, different on either channel, (2, samples)."""
    chance = np.random.RandomState(seed)
    noise = chance.standard_normal((2, n_samples)) + 0.5 * chance.standard_normal(n_samples)
    return (0.2 * noise * (1.2 + np.sin(np.arange(n_samples) / 900))).astype(np.float32)


def mixtures(segment):
    """Signals of all kinds of length, for segments of ``segment`` samples."""
    with_silence = mixture(3 * segment)
    with_silence[:, segment : 2 * segment + segment // 8] = 0
    mono = mixture(2 * segment + 100)
    return {
        "short": mixture(2 * segment // 5),
        "one": mixture(segment - 1),
        "exact": mixture(3 * segment),
        "short_tail": mixture(3 * segment + segment // 14),
        "long_tail": mixture(3 * segment + 9 * segment // 20),
        "mono": np.stack([mono[0], mono[0]]),
        "silence_inside": with_silence,
        "silence": np.zeros((2, 2 * segment), np.float32),
    }


def decibels(estimate, reference):
    """How far below the reference the difference lies."""
    error = float(np.sum((estimate.astype(np.float64) - reference) ** 2))
    return 10 * np.log10(max(error, 1e-300) / max(float(np.sum(reference.astype(np.float64) ** 2)), 1e-300))


def demix(network, configuration, mix, n_stems):
    """ZFTurbo's ``demix`` in its mode "generic", with one segment at a time; ``network`` takes and gives tensors."""
    import torch
    from torch.nn.functional import pad

    chunk = configuration["audio"]["chunk_size"]
    step = chunk // configuration["inference"]["num_overlap"]
    fade, border, length = chunk // 10, chunk - step, mix.shape[-1]
    mix = torch.from_numpy(mix)
    if length > 2 * border and border > 0:
        mix = pad(mix, (border, border), mode="reflect")
    result, counter = torch.zeros(n_stems, *mix.shape), torch.zeros(n_stems, *mix.shape)
    i = 0
    while i < mix.shape[1]:
        part = mix[:, i : i + chunk]
        n = part.shape[-1]
        part = pad(part, (0, chunk - n), mode="reflect") if n > chunk // 2 else pad(part, (0, chunk - n))
        i += step
        with torch.no_grad():
            x = network(part[None])[0]
        weight = torch.ones(chunk)
        weight[-fade:], weight[:fade] = torch.linspace(1, 0, fade), torch.linspace(0, 1, fade)
        if i - step == 0:
            weight[:fade] = 1
        elif i >= mix.shape[1]:
            weight[-fade:] = 1
        start = i - step
        result[..., start : start + n] += x.reshape(n_stems, 2, -1)[..., :n] * weight[:n]
        counter[..., start : start + n] += weight[:n]
    out = torch.nan_to_num(result / counter, nan=0.0)
    return (out[..., border:-border] if length > 2 * border and border > 0 else out).numpy()


def separated(network, configuration, mix, n_stems):
    """The reference's stems of a whole track, with the complement of a target behind them."""
    mono = mix.mean(0)
    mean, std = mono.mean(), mono.std()
    if configuration["inference"]["normalize"] and std > 0:
        out = demix(network, configuration, ((mix - mean) / std).astype(np.float32), n_stems) * std + mean
    else:
        out = demix(network, configuration, mix, n_stems)
    return np.concatenate([out, mix[None] - out]) if configuration["training"]["target_instrument"] else out


def streamed(separator, samples, n_block):
    """The stems of a signal that comes in blocks of ``n_block`` samples."""
    from unweave.dsp.segments import SegmentCutter, SegmentJoiner

    cutter, joiner = SegmentCutter(separator.segmentation, 2), SegmentJoiner(separator.segmentation)
    stems = range(len(separator.stems))
    segments = []
    for start in range(0, samples.shape[1], n_block):
        segments += cutter.push(samples[:, start : start + n_block])
    segments += cutter.flush()
    joined = [joiner.push(separator.separate(part, stems, is_first=k == 0)) for k, part in enumerate(segments)]
    return np.concatenate(joined, axis=-1)[..., : samples.shape[1]]
