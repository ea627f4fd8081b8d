"""Addresses as others may see them: in messages, in logs and in journals, without the keys that some of them hold."""

from __future__ import annotations

import re

# What stands before the host: on the web all of it may be a secret, elsewhere what follows the colon. The name may
# be that of a container (abfss://container@account).
WEB_USER = re.compile(r"\b(https?://)[^/?#\s]*@", re.IGNORECASE)
PASSWORD = re.compile(r"(://[^/?#@:\s]*):[^/?#\s]*@")
SIGNATURE = re.compile(r"\b(https?://[^?#\s]*)\?[^\s:;)]*", re.IGNORECASE)


def without_keys(text: str) -> str:
    """``text`` with its addresses lacking passwords, tokens and signatures.

    >>> without_keys("cannot list ftp://band:secret@host/songs")
    'cannot list ftp://band@host/songs'
    >>> without_keys("https://token@host/a.tar.gz?X-Amz-Signature=5f: not found")
    'https://host/a.tar.gz?…: not found'
    """
    return SIGNATURE.sub(r"\1?…", PASSWORD.sub(r"\1@", WEB_USER.sub(r"\1", text)))
