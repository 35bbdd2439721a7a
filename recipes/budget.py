"""A budget of time: read it, write it, and divide it among stages."""

import re
from collections.abc import Mapping

from ..runtime.errors import InputError

UNITS = {"h": 3600, "m": 60, "s": 1}
MIN_SECONDS, MAX_SECONDS = 10, 30 * 24 * 3600


def budget_seconds(text: str) -> float:
    """Seconds of a budget such as 30m, 90s, 2h or 1h30m.

    Raises InputError unless the text is a time from MIN_SECONDS to MAX_SECONDS.
    """
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)([hms])", text.lower())
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    whole = "".join(number + unit for number, unit in parts) == text.lower().replace(" ", "")
    if not parts or not whole or not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError("budget", found=text, expected="a time from 10s to 720h, such as 30m, 2h or 1h30m")
    return seconds


def duration(seconds: float) -> str:
    """Seconds in words: `45 s`, `12 min` or `1 h 30 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def divided(total: float, fractions: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """Divide `total` seconds among stages. Time that a stage cannot use goes to the others.

    fractions: the relative part of each stage, by name; the parts need not add up to 1. limits: the maximum number of
    seconds that each stage can use. Returns the seconds of each stage.
    """
    seconds: dict[str, float] = {}
    waiting = dict(fractions)
    while waiting:
        unit = max(total - sum(seconds.values()), 0) / sum(waiting.values())
        full = [name for name, fraction in waiting.items() if fraction * unit >= limits[name]]
        for name in full or [*waiting]:
            seconds[name] = min(waiting.pop(name) * unit, limits[name])
    return {name: seconds[name] for name in fractions}
