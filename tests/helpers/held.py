"""A studio whose separations stop at a gate, for tests of what happens in the middle of one.

``python -m tests.helpers.held FOLDER GATE name=value,… PORT`` serves until interrupted, as the command does. While the
file GATE exists, each run waits after its first stems, and notices when it is cancelled; the values are those of
`Settings`.
"""

import sys
import time
from pathlib import Path

from unweave.cli.failures import failures_shown
from unweave.errors import Cancelled
from unweave.separation.progress import Progress
from unweave.separation.separator import Separator


class HeldSeparator:
    """A separator that waits while ``is_held()``, after the first part that holds samples."""

    def __init__(self, separator, is_held):
        self._separator, self._is_held = separator, is_held
        self.stems = separator.stems

    def parts(self, reader, *, on_progress):
        n_samples = 0
        for part in self._separator.parts(reader, on_progress=on_progress):
            yield part
            n_samples += part.n_samples
            while n_samples and self._is_held():
                seconds = n_samples / part.sample_rate
                if not on_progress(Progress(seconds, reader.expected_seconds)):
                    raise Cancelled
                time.sleep(0.01)


def main(folder, gate, values, port):
    from unweave.studio.server import serve
    from unweave.studio.settings import Settings

    given = {name: int(value) for name, _, value in (text.partition("=") for text in values.split(",") if text)}
    settings = Settings(folder=Path(folder), port=int(port), **given)

    def open_model(model, quality):
        return HeldSeparator(Separator(model, quality=quality), Path(gate).exists)

    with failures_shown():
        serve(settings, lambda address: print(address, file=sys.stderr, flush=True), open_model=open_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
