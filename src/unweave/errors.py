"""All errors that unweave raises on purpose.

::

    UnweaveError
    ├── AudioError              a file that cannot be read or written as audio
    │   ├── AudioReadError
    │   └── AudioWriteError
    ├── ModelError              a model that is not available or cannot be used
    │   ├── UnknownModelError       there is no model of this name
    │   ├── CheckpointError         a weights file that is damaged or not of the expected kind
    │   ├── DownloadError           the weights could not be downloaded from any source
    │   └── ConsentError            the licence of the weights must be accepted first
    ├── OptionError             arguments that contradict each other or make no sense
    └── Cancelled               the caller's progress callback asked to stop

Each message says in one line what was expected and what came instead, so that a command line can show it as it is.
"""


class UnweaveError(Exception):
    """The base class of all errors that unweave raises on purpose."""


class AudioError(UnweaveError):
    """A file that cannot be read or written as audio."""


class AudioReadError(AudioError):
    """The source is missing, is not audio, or ends before anything can be decoded."""


class AudioWriteError(AudioError):
    """The target cannot be written because of its folder, permissions, disk space, or format."""


class ModelError(UnweaveError):
    """A model that is not available or cannot be used."""


class UnknownModelError(ModelError):
    """There is no model of this name in the catalogue, and it is not the path of a model file either."""


class CheckpointError(ModelError):
    """A weights file that is truncated, corrupted, or not of the expected layout."""


class DownloadError(ModelError):
    """The weights could not be downloaded; the message names each source and why it failed."""


class ConsentError(ModelError):
    """The licence of the weights restricts their use, and has not been accepted yet."""


class OptionError(UnweaveError):
    """Arguments that contradict each other or make no sense."""


class Cancelled(UnweaveError):
    """The caller's progress callback asked to stop."""
