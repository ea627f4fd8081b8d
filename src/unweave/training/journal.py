"""A run's record for TensorBoard: curves, sound and spectrogram pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.dsp.stft import analyse
from unweave.training.validation import Validation

RANGE_DB = 80.0


class Journal:
    """Writes into a folder that ``tensorboard --logdir`` reads."""

    def __init__(self, folder: Path, sample_rate: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))
        self._sample_rate = sample_rate

    def step(self, step: int, values: dict[str, float]) -> None:
        """Scalars of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def validation(self, step: int, validation: Validation) -> None:
        """Scores, and one segment as sound and picture."""
        for stem, value in validation.sdr_db.items():
            self._writer.add_scalar(f"sdr_db/{stem}", value, step)
        signals = {"mixture": validation.example.mixture, **validation.example.estimates}
        for name, waveform in signals.items():
            mono = waveform.mean(0).clip(-1, 1)
            self._writer.add_audio(name, mono[None], step, self._sample_rate)
            self._writer.add_image(name, _picture(waveform), step, dataformats="HW")
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _picture(waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Levels in dB as brightness 0 … 1, low frequencies below: (bins, frames)."""
    magnitude = np.abs(analyse(waveform, 2048, 1024, 512)).mean(0)
    level = 20 * np.log10(magnitude + 1e-6)
    picture: npt.NDArray[np.float32] = np.clip((level - level.max() + RANGE_DB) / RANGE_DB, 0, 1).T[::-1]
    return picture
