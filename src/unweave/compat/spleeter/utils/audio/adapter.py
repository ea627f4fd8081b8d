"""Where the first versions of Spleeter kept what is in ``spleeter.audio.adapter`` now."""

from unweave.compat.spleeter.audio.adapter import AudioAdapter, get_audio_adapter, get_default_audio_adapter

__all__ = ["AudioAdapter", "get_audio_adapter", "get_default_audio_adapter"]
