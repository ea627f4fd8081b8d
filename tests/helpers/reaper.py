"""A reader of REAPER's projects: elements in angle brackets with a value on each line."""

import re
from dataclasses import dataclass, field

# A value is in one of three quotes, or has no blanks.
VALUE = re.compile(r""""([^"]*)"|'([^']*)'|`([^`]*)`|(\S+)""")


@dataclass
class Element:
    """Its own values, and what is in it: a key → the values of each line that begins with it."""

    values: list
    lines: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    def one(self, key):
        """The values of the only line that begins with ``key``."""
        (values,) = self.lines[key]
        return values

    def all(self, kind):
        """The elements of this kind in it."""
        return [child for child in self.children if child.values[0] == kind]


def values_in(line):
    return ["".join(groups) for groups in VALUE.findall(line)]


def parse(text):
    """The root of a project."""
    root = Element([])
    open_elements = [root]
    for line in map(str.strip, text.splitlines()):
        if line == ">":
            open_elements.pop()
        elif line.startswith("<"):
            element = Element(values_in(line[1:]))
            open_elements[-1].children.append(element)
            open_elements.append(element)
        else:
            key, *values = values_in(line)
            open_elements[-1].lines.setdefault(key, []).append(values)
    assert open_elements == [root]
    (project,) = root.children
    assert project.values[:2] == ["REAPER_PROJECT", "0.1"]
    return project
