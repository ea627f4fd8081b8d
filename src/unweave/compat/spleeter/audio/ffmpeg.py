"""Spleeter's ``spleeter.audio.ffmpeg``."""

from unweave.compat.spleeter.audio.adapter import LibraryAudioAdapter


class FFMPEGProcessAudioAdapter(LibraryAudioAdapter):
    """The original's name for the default adapter; no process is started, and no ``ffmpeg`` needs to be installed."""
