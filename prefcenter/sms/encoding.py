"""temporary"""

from dataclasses import dataclass


@dataclass
class Size:
    parts: int
    units: int


def measure(t):
    return Size(1, len(t))
