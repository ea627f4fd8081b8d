"""What the server refuses, and the sentence for each case.

An answer that refuses holds the sentence in English (``detail``), a ``code``, and the ``values`` in the sentence, so
that the page can say the same in the user's language (``page/words.js`` has a sentence for every code). What a user of
the page may well meet has a code of its own. A ``reason``, which is in English whatever the language, is set apart in
the sentence; where it is not in the sentence, it is there for programs that use the API.
"""

from __future__ import annotations

import errno
from typing import Any

from unweave.errors import AudioReadError, DownloadError, ModelError, UnweaveError

NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

# code → status, sentence
REFUSALS: dict[str, tuple[int, str]] = {
    "no_job": (404, "This song does not exist; perhaps it was deleted."),
    "no_stem": (404, "This song has no such stem."),
    "not_done": (409, "The song has not been separated yet."),
    "ended": (409, "The separation has already ended."),
    "not_ended": (409, "The song is still being separated."),
    "not_waiting": (409, "The song is no longer waiting."),
    "queue_full": (429, "Too many songs are waiting. Please try again later."),
    "too_large": (413, "The file is larger than {mebibytes} MiB."),
    "too_long": (413, "The song is longer than {minutes} minutes."),
    "disk_full": (507, "The space for songs is used up. Please delete some songs."),
    "disk_error": (507, "The server cannot use its disk. The system says: “{reason}”."),
    "empty": (422, "The file is empty."),
    "no_audio": (415, "This file contains no audio that can be read."),
    "damaged": (415, "This file is damaged."),
    "cut_off": (415, "This file is incomplete: the recording, the copy or the download was cut off."),
    "web_page": (415, "This is a web page, not audio: the download probably failed."),
    "archive": (415, "This is an archive. Please unpack it and choose the song inside."),
    "midi": (415, "This is a MIDI file: it contains notes, but no sound."),
    "playlist": (415, "This is a playlist. Please choose the songs themselves."),
    "no_model": (422, "There is no model called {name}."),
    "bad_model": (422, "This model cannot be used. The program says: “{reason}”."),
    "no_download": (422, "The model could not be downloaded. Please check the internet connection."),
    "no_memory": (422, "There is not enough memory for this. Closing other programs or tabs may help."),
    "needs_consent": (
        403,
        "This model is for personal and research use only. Please confirm that this is how you will use it.",
    ),
    "bad_option": (422, "This is not possible. The program says: “{reason}”."),
    "failed": (422, "The separation failed. The program says: “{reason}”."),
    "broken": (500, "Something went wrong. See the server's log for details."),
    "wrong_host": (421, "This server can only be reached under its own address."),
    "no_token": (401, "You need an access token: open the address that the server printed."),
    "other_site": (403, "Requests from other sites are refused."),
}


class Refused(UnweaveError):
    """A request, or a job, that cannot be met: ``code`` is a key of `REFUSALS`, ``values`` fill its sentence."""

    def __init__(self, code: str, **values: str | int) -> None:
        self.code, self.values = code, values
        self.status, sentence = REFUSALS[code]
        super().__init__(sentence.format(**values))

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"detail": str(self), "code": self.code, "values": self.values}


def reason(error: BaseException) -> dict[str, str]:
    """The message of ``error`` on one line, without a full stop, as the value of a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return {"reason": " ".join(text.split()).rstrip(".")}


def refusal_of(error: Exception) -> Refused:
    """What went wrong with a song or a model, as a refusal."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError) or "Failed to allocate memory" in str(error):  # the latter by ONNX Runtime
        return Refused("no_memory")
    if isinstance(error, OSError):
        return Refused("disk_full") if error.errno in NO_ROOM else Refused("disk_error", **reason(error))
    for kind, code in ((AudioReadError, "damaged"), (DownloadError, "no_download"), (ModelError, "bad_model")):
        if isinstance(error, kind):
            return Refused(code, **reason(error))
    # A library that cannot be loaded is of the machine: Windows may lack a DLL.
    is_told = isinstance(error, UnweaveError | ImportError)
    return Refused("failed", **reason(error)) if is_told else Refused("broken")
