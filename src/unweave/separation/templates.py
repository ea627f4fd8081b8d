"""From a template such as ``{filename}/{instrument}.{codec}`` to a relative path that this system can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath, PureWindowsPath
from string import Formatter
from typing import Any

from unweave.errors import OptionError

DEFAULT_TEMPLATE = "{filename}/{instrument}.{codec}"
DEFAULT_TEMPLATE_OF_ONE = "{filename}.{codec}"  # where all stems share a file
DEFAULT_TEMPLATE_OF_PROJECT = "{filename}/{filename}.{codec}"  # beside its stems

FIELDS = ("filename", "foldername", "instrument", "stem", "codec")
# Widths and lengths up to 999, as in {filename:.40}: str.format would try to make any number of characters.
FORMAT = re.compile(r"(.?[<>^])?\d{0,3}(\.\d{1,3})?s?")

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: with any extension, in any case.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
NOT_IN_WINDOWS_NAMES = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
NOT_IN_NAMES = re.compile(r"[/\x00]")

Flavour = type[PurePath]
HERE: Flavour = type(PurePath())


def relative_path(template: str, values: Mapping[str, str], flavour: Flavour = HERE) -> PurePath:
    """``template`` with its fields filled in, as a path below the output folder.

    ``values`` has a value for each of `FIELDS`. A value is a name and never becomes a path: what the system cannot hold
    in a name is replaced by ``_``. ``flavour`` is PurePosixPath or PureWindowsPath. Raises `OptionError` for unknown
    fields, and for a result that leaves the output folder or is no file name.
    """
    _check_fields(template)
    try:
        text = _Names(flavour).vformat(template, (), values)
    except (KeyError, IndexError, ValueError) as error:
        raise _misused(template) from error
    path = flavour(text)
    said = f"the template {template!r} gives {text!r}"
    if path.drive or path.root or ".." in path.parts:
        raise OptionError(f"{said}, which is outside the output folder; choose the folder with -o")
    if not path.parts or "\0" in text or text.endswith(("/", "/.")):
        raise OptionError(f"{said}, which is not a file name")
    if issubclass(flavour, PureWindowsPath):
        for part in path.parts:
            if is_unfit_for_windows(part):
                raise OptionError(f"{said}, but on Windows no file can be called {part!r}")
    return path


class _Names(Formatter):
    """Fills in names as a system can hold them, also where they are cut: {filename:.40} may end with a blank then."""

    def __init__(self, flavour: Flavour) -> None:
        self._flavour = flavour

    def format_field(self, value: Any, format_spec: str) -> str:
        """See `Formatter.format_field`."""
        return safe_name(super().format_field(value, format_spec), self._flavour)


def safe_name(name: str, flavour: Flavour = HERE) -> str:
    """``name`` with everything replaced that cannot be part of a file's name."""
    if not issubclass(flavour, PureWindowsPath):
        return NOT_IN_NAMES.sub("_", name)
    return NOT_IN_WINDOWS_NAMES.sub("_", name).rstrip(". ") or "_"


def is_unfit_for_windows(name: str) -> bool:
    """Whether Windows would refuse ``name``, take it for a device, or silently call the file something else."""
    return bool(NOT_IN_WINDOWS_NAMES.search(name) or RESERVED.fullmatch(name)) or name.endswith((".", " "))


def _check_fields(template: str) -> None:
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise _misused(template) from error
    for _, name, specification, conversion in fields:
        if name not in FIELDS or conversion or not FORMAT.fullmatch(specification or ""):
            raise _misused(template)


def _misused(template: str) -> OptionError:
    return OptionError(
        f"cannot use the template {template!r}: the fields are {{filename}}, {{foldername}}, "
        "{instrument} (or {stem}) and {codec}"
    )
