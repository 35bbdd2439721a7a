"""Format the scores of models as text, Markdown and JSON."""

import dataclasses
import json
import math
from collections.abc import Sequence

from .metrics import METRICS, Direction
from .report import Report, Score

BETTER: dict[Direction, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "nearer 0 is better",
}


def report_text(report: Report) -> str:
    """Format a report as text: a line for each metric, with value, reference value, and which values are better."""
    rows = [("", report.model, "reference", "")]
    for metric in METRICS:
        if metric.name in report.metrics:
            score = report.metrics[metric.name]
            title = metric.title.format(importance_samples=report.importance_samples)
            rows.append((title, number(score.value), _reference(score), BETTER[score.better]))
    head = (
        f"prior {report.prior}, temperature {report.temperature:g}, seed {report.seed}: {report.samples:,} samples "
        f"against as many {report.split} images of {report.data}, by {report.feature_extractor['name']}"
    )
    widths = [_width(rows, column) for column in range(3)]
    lines = [f"{_aligned(row[:3], widths, left=1)}  {row[3]}".rstrip() for row in rows]
    macs = [f"{graph} {count:,}" for graph, count in report.macs.items()]
    return "\n".join([head, *lines, *([f"MACs for one image: {', '.join(macs)}"] if macs else [])])


def comparison(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """Rows of a table that compares reports: column titles, one row for each report, and the scores of real images."""
    names = {name for report in reports for name in report.metrics}
    shown = [metric for metric in METRICS if metric.column and metric.name in names]
    rows = [("model", "prior", "MB", *(metric.column for metric in shown))]
    for report in reports:
        scores = (report.metrics.get(metric.name) for metric in shown)
        values = ("-" if score is None else number(score.value) for score in scores)
        rows.append((report.model, report.prior, f"{report.megabytes:.1f}", *values))
    scores_by_name = {name: score for report in reports for name, score in report.metrics.items()}
    rows.append(("real images", "", "", *(_reference(scores_by_name[metric.name]) for metric in shown)))
    return rows


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Format rows as a text table; the first two columns are left-aligned, the others right-aligned."""
    widths = [_width(rows, column) for column in range(len(rows[0]))]
    return "\n".join(_aligned(row, widths, left=2).rstrip() for row in rows)


def as_markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Format rows as a Markdown table; the first two columns are left-aligned, the others right-aligned."""
    rule = ["---" if column < 2 else "---:" for column in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def as_json(report: Report) -> str:
    """Format a report as one line of JSON. Infinite and NaN scores become null."""
    content = dataclasses.asdict(report)
    for score in content["metrics"].values():
        for key in ("value", "reference"):
            if score[key] is not None and not math.isfinite(score[key]):
                score[key] = None
    return json.dumps(content, allow_nan=False)


def number(value: float) -> str:
    """Format a number with about four digits, in scientific notation if it is very small or very large."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = 4 - max(1, len(str(int(abs(value))))) if abs(value) >= 1 else 4
    return f"{value:.{max(digits, 0)}f}"


def _reference(score: Score) -> str:
    return "-" if score.reference is None else number(score.reference)


def _aligned(row: tuple[str, ...], widths: Sequence[int], *, left: int) -> str:
    """Pad cells to the widths of their columns; the first `left` cells are left-aligned, the others right-aligned."""
    cells = zip(row, widths, strict=True)
    return "  ".join(f"{cell:{'<' if i < left else '>'}{width}}" for i, (cell, width) in enumerate(cells))


def _width(rows: Sequence[tuple[str, ...]], column: int) -> int:
    return max(len(row[column]) for row in rows)
