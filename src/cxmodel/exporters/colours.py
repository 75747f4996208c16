"""Colours that everybody can tell apart (Okabe & Ito 2008), never without a second cue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from cxmodel.model.estimates import Estimate

BLUE: Final = "#0072b2"
VERMILLION: Final = "#d55e00"
RUST: Final = "#9a3c00"  # vermillion dark enough for small text
INK: Final = "#222222"
QUIET: Final = "#5f5f5f"
LINE: Final = "#7a7a7a"
FRAME: Final = "#c9c9c9"
PAPER: Final = "#ffffff"
PALE: Final = "#f4f4f4"

# tints of blue and vermillion on which black text has a contrast of at least 7
_GOOD: Final = ("#dcebf5", "#b3d5ea", "#86bfdf")
_BAD: Final = ("#fbe3d3", "#f6c5a3", "#efa673")
_NEITHER: Final = "#ececec"
_NOTHING: Final = "#ffffff"


@frozen(kw_only=True)
class Shade:
    """The colour of a touchpoint and what it means.

    Attributes:
        fill: Colour.
        text: The value in words, with its sign (▲ ▼ ≈).
        legend: What the colours mean.
    """

    fill: str
    text: str
    legend: str


def shades(of: Mapping[str, Estimate], names: Sequence[str]) -> dict[str, Shade]:
    """Colours of touchpoints by their estimates, against the mean of all weighted by n.

    Better than the mean is blue, worse vermillion, and grey what its interval does not tell from the mean.
    """
    there = {name: of[name] for name in names if name in of}
    known = [each for each in there.values() if each.value is not None]
    total = sum(each.n for each in known)
    if not known or not total:
        return {name: Shade(fill=_NOTHING, text="no value", legend="") for name in there}
    middle = sum(each.require() * each.n for each in known) / total
    widest = max(abs(each.require() - middle) for each in known) or 1.0
    better = "lower is better" if known[0].direction == "lower" else "higher is better"
    unit = known[0].unit
    legend = (
        f"Colour and sign against the mean of {figure(middle, unit)}: "
        f"▲\u00a0above, ▼\u00a0below (blue better, orange worse), "
        f"≈\u00a0not clearly either; {better}."
    )
    return {name: _shade(each, middle, widest, legend) for name, each in there.items()}


def _shade(estimate: Estimate, middle: float, widest: float, legend: str) -> Shade:
    if estimate.value is None:
        return Shade(fill=_NOTHING, text="no value", legend=legend)
    value = figure(estimate.value, estimate.unit)
    away = estimate.value - middle
    unclear = estimate.interval is not None and middle in estimate.interval
    if unclear or away == 0:
        return Shade(fill=_NEITHER, text=f"≈ {value}", legend=legend)
    tints = _GOOD if (away > 0) != (estimate.direction == "lower") else _BAD
    fill = tints[min(int(3 * abs(away) / widest), 2)]
    return Shade(fill=fill, text=f"{'▲' if away > 0 else '▼'} {value}", legend=legend)


def figure(value: float, unit: str) -> str:
    """A value for a picture: shares as percent, others with three figures.

    Example:
        >>> figure(0.264, "share"), figure(-12.34, "points"), figure(12345.6, "s")
        ('26%', '-12.3 points', '12,346 s')
    """
    if unit == "share" and abs(value) < 1e3:
        return f"{value:.0%}" if abs(value) >= 0.1 else f"{value:.1%}"
    number = f"{value:,.0f}" if 100 <= abs(value) < 1e9 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
