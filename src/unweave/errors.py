"""Everything unweave raises on purpose.

::

    UnweaveError
    ├── AudioError              a file that cannot be read or written as audio
    │   ├── AudioReadError
    │   └── AudioWriteError
    ├── ModelError              a model that cannot be had or used
    │   ├── UnknownModelError       no such name in the catalogue
    │   ├── CheckpointError         a weights file that is damaged or foreign
    │   ├── DownloadError           no source could deliver the weights
    │   └── ConsentError            the licence of the weights must be accepted first
    ├── OptionError             arguments that contradict each other or make no sense
    └── Cancelled               the caller's progress callback asked to stop

Each message says what was expected and what came, in one line, so that a command line can show it as it is.
"""


class UnweaveError(Exception):
    """Base of every error raised on purpose by unweave."""


class AudioError(UnweaveError):
    """A file that cannot be read or written as audio."""


class AudioReadError(AudioError):
    """The source is missing, is not audio, or breaks off where nothing can be decoded."""


class AudioWriteError(AudioError):
    """The target cannot be written: folder, permission, space, or format."""


class ModelError(UnweaveError):
    """A model that cannot be had or used."""


class UnknownModelError(ModelError):
    """The name is not in the catalogue and is not a configuration file."""


class CheckpointError(ModelError):
    """A weights file that is truncated, corrupted, or not of the expected layout."""


class DownloadError(ModelError):
    """No source could deliver the weights; the message names each and why."""


class ConsentError(ModelError):
    """The licence of the weights restricts their use, and was not accepted yet."""


class OptionError(UnweaveError):
    """Arguments that contradict each other or make no sense."""


class Cancelled(UnweaveError):
    """The caller's progress callback asked to stop."""
