"""Put a trained model into the package: python pack.py RUN FOLDER."""

import shutil
import sys
from pathlib import Path

from unweave.models.added import CARD, GRAPH, WEIGHTS

run, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for name in (GRAPH, WEIGHTS, CARD):
    shutil.copyfile(run / name, folder / name)
    print(folder / name, (folder / name).stat().st_size)
