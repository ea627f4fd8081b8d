"""What files cost: seconds of processor time per minute of stereo, read and written, and what an installation takes.

python -m benchmarks.files
"""

import importlib.metadata
import re
import tempfile
import time
from pathlib import Path

from packaging.requirements import Requirement

import unweave
from benchmarks.measure import SAMPLE_RATE, median, report, write_song
from unweave import AudioReader, AudioWriter
from unweave.audio.formats import find_format

FORMATS = ("wav", "flac", "ogg", "mp3", "m4a")


def cpu_seconds(action, repeats=5):
    """The median processor time of ``action``."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return median(times)


def read(path):
    with AudioReader(path) as reader:
        return list(reader)


def write(blocks, path):
    with AudioWriter(path, find_format(path.suffix[1:]), sample_rate=SAMPLE_RATE, n_channels=2) as writer:
        for block in blocks:
            writer.write(block)
        writer.finish()
        writer.commit()


def installed(name, found):
    """Distributions that ``name`` needs without any extra, with their sizes in bytes."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    distribution = importlib.metadata.distribution(name)
    found[key] = 0
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            installed(requirement.name, found)
    # unweave itself may be installed in place.
    own = Path(unweave.__file__).parent.rglob("*") if key == "unweave" else ()
    files = own or (Path(str(file.locate())) for file in distribution.files or ())
    found[key] = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
    return found


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        blocks = read(write_song(Path(folder) / "song.wav", 60))
        for extension in FORMATS:
            path = Path(folder) / f"copy.{extension}"
            written = cpu_seconds(lambda path=path: write(blocks, path), 3)
            rows.append((extension, f"{cpu_seconds(lambda path=path: read(path)):.3f}", f"{written:.3f}"))
    sizes = installed("unweave", {})
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    parts = [(name, f"{size / 1e6:.0f}") for name, size in largest if size > 5e6]
    parts.append(("all of it", f"{sum(sizes.values()) / 1e6:.0f}"))
    report(
        "files",
        [
            ("processor seconds per minute of stereo", ("", "read", "written"), rows),
            ("a default installation, without compiled modules; what is above 5 MB", ("", "MB"), parts),
        ],
    )


if __name__ == "__main__":
    main()
