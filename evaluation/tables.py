"""Format the scores of models as text, Markdown and JSON."""

import dataclasses
import json
import math
import textwrap
from collections.abc import Sequence

from .metrics import METRICS, Direction
from .report import Report, Score

TEXT_WIDTH = 80  # width of text tables in characters: that of a narrow terminal
BETTER: dict[Direction, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "nearer 0 is better",
}


def report_text(report: Report) -> str:
    """Format a report as text: a line for each metric, with value, reference value, and which values are better."""
    rows = [("", report.model, "real images", "better")]
    for metric in METRICS:
        if metric.name in report.metrics:
            score = report.metrics[metric.name]
            rows.append(
                (metric.heading, number(score.value), _reference(score), score.better.replace("zero", "near 0"))
            )
    head = [f"prior {report.prior}, temperature {report.temperature:g}, seed {report.seed}", *counts(report)]
    if report.likelihood_images:
        latents = f"{report.importance_samples:,} latent" + "s" * (report.importance_samples > 1)
        head.append(f"likelihood: bounds of {report.likelihood_images:,} test images, from {latents} for each")
    widths = [_width(rows, column) for column in range(3)]
    lines = [f"{_aligned(row[:3], widths, left=1)}  {row[3]}".rstrip() for row in rows]
    macs = [f"{graph} {count:,}" for graph, count in report.macs.items()]
    tail = [_wrapped(f"MACs for one image: {', '.join(macs)}")] if macs else []
    return "\n".join([*map(_wrapped, head), *lines, *tail])


def counts(report: Report) -> tuple[str, ...]:
    """Two lines of text: how many images were compared, and which real images give the reference values."""
    n, sets = report.samples, report.reference_sets
    real = (
        f"mean of {sets} sets of {n:,} training images, ± the standard deviation"
        if sets > 1
        else (f"{n:,} training images in place of samples")
    )
    extractor = report.feature_extractor["name"]
    return (
        f"{n:,} samples against {n:,} {report.split} images of {report.data}, by {extractor}",
        f"real images: {real}",
    )


def comparison(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """Rows of a table that compares reports: column titles, one row for each report, and the scores of real images.

    If there are several sets of real images, a last row holds the standard deviations of their scores.
    """
    names = {name for report in reports for name in report.metrics}
    shown = [metric for metric in METRICS if metric.compared and metric.name in names]
    rows = [("model", "prior", "MB", *(metric.title for metric in shown))]
    for report in reports:
        scores = (report.metrics.get(metric.name) for metric in shown)
        values = ("-" if score is None else number(score.value) for score in scores)
        rows.append((report.model, report.prior, f"{report.megabytes:.1f}", *values))
    scores_by_name = {name: score for report in reports for name, score in report.metrics.items()}
    references = [scores_by_name[metric.name] for metric in shown]
    rows.append(("real images", "", "", *(_or_dash(score.reference) for score in references)))
    if any(score.reference_std is not None for score in references):
        rows.append(("their std", "", "", *(_or_dash(score.reference_std) for score in references)))
    return rows


def as_text(rows: Sequence[tuple[str, ...]], *, width: int = TEXT_WIDTH) -> str:
    """Format rows as a text table; the first two columns are left-aligned, the others right-aligned.

    Titles are broken at spaces. A table wider than `width` characters is split: the remaining columns follow below,
    beside the first two columns again.
    """
    words = [title.split() for title in rows[0]]
    height = max(map(len, words))
    titles = [tuple(line[i] for line in (([""] * height + part)[-height:] for part in words)) for i in range(height)]
    lines = [*titles, *rows[1:]]
    widths = [_width(lines, column) for column in range(len(rows[0]))]
    blocks: list[list[int]] = []
    for column in range(2, len(widths)):
        used = sum(2 + widths[other] for other in (0, 1, *(blocks[-1] if blocks else ()))) - 2
        if not blocks or used + 2 + widths[column] > width:
            blocks.append([])
        blocks[-1].append(column)
    parts = []
    for block in blocks:
        columns = [0, 1, *block]
        cells = [_aligned([line[i] for i in columns], [widths[i] for i in columns], left=2) for line in lines]
        parts.append("\n".join(cell.rstrip() for cell in cells))
    return "\n\n".join(parts)


def as_markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Format rows as a Markdown table; the first two columns are left-aligned, the others right-aligned."""
    rule = ["---" if column < 2 else "---:" for column in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def as_json(report: Report) -> str:
    """Format a report as one line of JSON. Infinite and NaN scores become null."""
    content = dataclasses.asdict(report)
    for score in content["metrics"].values():
        for key in ("value", "reference", "reference_std"):
            if score[key] is not None and not math.isfinite(score[key]):
                score[key] = None
    return json.dumps(content, allow_nan=False)


def number(value: float) -> str:
    """Format a number with about four digits, in scientific notation if it is very small or very large; NaN as -."""
    if math.isnan(value):
        return "-"
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = 4 - max(1, len(str(int(abs(value))))) if abs(value) >= 1 else 4
    return f"{value:.{max(digits, 0)}f}"


def _reference(score: Score) -> str:
    """The reference value of a score, with its standard deviation if there is one."""
    known = score.reference_std is not None and not math.isnan(score.reference_std)
    std = f" ± {number(score.reference_std or 0)}" if known else ""
    return _or_dash(score.reference) + std


def _wrapped(line: str) -> str:
    return textwrap.fill(line, TEXT_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)


def _aligned(row: Sequence[str], widths: Sequence[int], *, left: int) -> str:
    """Pad cells to the widths of their columns; the first `left` cells are left-aligned, the others right-aligned."""
    cells = zip(row, widths, strict=True)
    return "  ".join(f"{cell:{'<' if i < left else '>'}{width}}" for i, (cell, width) in enumerate(cells))


def _width(rows: Sequence[tuple[str, ...]], column: int) -> int:
    return max(len(row[column]) for row in rows)
