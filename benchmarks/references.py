"""The implementations that families are compared with: run by `benchmarks.families` in an environment of their own.

    python references.py FOLDER

FOLDER holds case.json (the family and its description), weights.safetensors and input.npy. Writes reference.npy, prints
seconds and peak megabytes as JSON. Nothing of unweave is imported here.
"""

import json
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.timing import own_peak_megabytes, timed

DEMUCS = (
    "audio_channels", "channels", "growth", "depth", "kernel_size", "stride", "context", "context_enc", "freq_emb",
    "emb_scale", "dconv_mode", "dconv_depth", "dconv_comp",
)  # fmt: skip
HTDEMUCS = (
    "bottom_channels", "t_layers", "t_heads", "t_hidden_scale", "t_max_period", "t_weight_pos_embed", "t_cross_first",
    "t_norm_in", "t_norm_out", "t_layer_scale", "t_gelu",
)  # fmt: skip
HDEMUCS = ("channels_time", "time_stride", "norm_starts", "norm_groups", "dconv_attn", "dconv_lstm")


def roformer(spec, weights):
    from pymss_core.modules import bs_roformer

    is_bs, n_hidden = spec["kind"] == "bs", len(spec["mask_widths"])
    network = getattr(bs_roformer, "BSRoformer" if is_bs else "MelBandRoformer")(
        dim=spec["dim"],
        depth=spec["depth"],
        stereo=True,
        num_stems=len(spec["stems"]),
        time_transformer_depth=spec["time_depth"],
        freq_transformer_depth=spec["frequency_depth"],
        heads=spec["n_heads"],
        dim_head=spec["head_width"],
        stft_n_fft=spec["n_fft"],
        stft_win_length=spec["n_fft"],
        stft_hop_length=spec["hop_length"],
        mask_estimator_depth=n_hidden + 1,
        mlp_expansion_factor=spec["mask_widths"][0] // spec["dim"],
        zero_dc=spec["zero_dc"],
        flash_attn=True,
        **({} if is_bs else {"num_bands": spec["n_bands"], "match_input_audio_length": True}),
    )
    return loaded(network, weights)


def scnet(spec, weights):
    from pymss_core.modules.scnet import SCNet

    network = SCNet(
        sources=spec["stems"],
        dims=spec["dims"],
        nfft=spec["n_fft"],
        hop_size=spec["hop_length"],
        win_size=spec["n_fft"],
        normalized=spec["stft_normalised"],
        band_SR=spec["band_shares"],
        band_stride=spec["band_strides"],
        band_kernel=spec["band_kernels"],
        conv_depths=spec["conv_depths"],
        compress=spec["dims"][1] // spec["hidden_widths"][0],
        num_dplayer=spec["n_layers"],
        expand=spec["expand"],
    )
    return loaded(network, weights)


def mdx23c(spec, weights):
    from pymss_core.modules.mdx23c_tfc_tdf_v3 import TFC_TDF_net

    audio = {"n_fft": spec["n_fft"], "hop_length": spec["hop_length"], "dim_f": spec["n_bins"], "num_channels": 2}
    sizes = {"num_channels": spec["n_channels"], "growth": spec["growth"], "num_scales": spec["n_scales"]}
    kinds = {"act": spec["activation"], "norm": spec["norm"], "bottleneck_factor": spec["bottleneck_factor"]}
    model = {"num_blocks_per_scale": spec["n_blocks"], "num_subbands": spec["n_subbands"], "scale": spec["scale"]}
    training = {"instruments": spec["stems"], "target_instrument": None}
    sections = {"audio": audio, "model": {**sizes, **kinds, **model}, "training": training}
    return loaded(TFC_TDF_net(SimpleNamespace(**{k: SimpleNamespace(**v) for k, v in sections.items()})), weights)


def _demucs(kind, names, spec, weights):
    network = kind(
        sources=spec["stems"],
        nfft=spec["n_fft"],
        samplerate=spec["sample_rate"],
        segment=Fraction(spec["segment_samples"], spec["sample_rate"]),
        **{name: spec[name] for name in (*DEMUCS, *names)},
    )
    return loaded(network, weights)


def htdemucs(spec, weights):
    from demucs.htdemucs import HTDemucs

    return _demucs(HTDemucs, HTDEMUCS, spec, weights)


def hdemucs(spec, weights):
    from demucs.hdemucs import HDemucs

    return _demucs(HDemucs, HDEMUCS, spec, weights)


def openunmix(spec, weights):
    sys.modules["torchaudio"] = ModuleType("torchaudio")  # it resamples, which is not needed
    from openunmix.model import OpenUnmix, Separator

    networks = {}
    for stem, prefix in zip(spec["stems"], spec["prefixes"], strict=True):
        network = OpenUnmix(
            nb_bins=spec["n_fft"] // 2 + 1,
            nb_channels=spec["n_channels"],
            hidden_size=spec["hidden_width"],
            max_bin=spec["n_input_bins"],
        )
        own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
        networks[stem] = loaded(network, own)
    separator = Separator(
        networks, niter=spec["n_iterations"], n_fft=spec["n_fft"], n_hop=spec["hop_length"], nb_channels=2
    )
    separator.freeze()
    return separator


def vr(spec, weights):
    from pymss_core.modules.vocal_remover.uvr_lib_v5.vr_network import nets_new

    n_channels = weights["out.weight"].shape[1]
    width = 2 * weights["stg3_full_band_net.lstm_dec2.lstm.weight_hh_l0"].shape[1]
    network = loaded(nets_new.CascadedNet(2 * spec["n_bins"], 0, nout=n_channels, nout_lstm=width), weights)
    # Bins above those that the network sees are repeated behind them, one here.
    return lambda x: network(x)[:, :, : spec["n_bins"]]


def loaded(network, weights):
    """``network`` with all of ``weights``; what they lack must be buffers."""
    missing, unexpected = network.load_state_dict(weights, strict=False)
    lacking = set(missing) & {name for name, _ in network.named_parameters()} - {"aux_out.weight"}
    if lacking or unexpected:
        raise SystemExit(f"the weights are not those of the reference: {sorted(lacking)[:3]}, {unexpected[:3]}")
    return network.eval()


def main():
    folder = Path(sys.argv[1])
    case = json.loads((folder / "case.json").read_text())
    network = globals()[case["family"]](case["spec"], load_file(folder / "weights.safetensors"))
    given = torch.from_numpy(np.load(folder / "input.npy"))[None]
    with torch.inference_mode():
        result, seconds = timed(lambda: network(given))
    np.save(folder / "reference.npy", result.numpy())
    print(json.dumps({"seconds": seconds, "megabytes": own_peak_megabytes()}))


if __name__ == "__main__":
    main()
