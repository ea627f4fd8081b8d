"""Where the first versions of Spleeter kept what is in ``spleeter.audio`` now."""
