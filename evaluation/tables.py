"""Reports as text, Markdown and JSON."""

import dataclasses
import json
import math
from collections.abc import Sequence

from .metrics import Metric, Report

TITLES = {
    "reconstruction_mse": "reconstruction MSE",
    "reconstruction_foreground_mse": "  of bright pixels",
    "reconstruction_psnr": "  PSNR, dB",
    "reconstruction_ssim": "  SSIM",
    "reconstruction_frechet_distance": "  Frechet distance",
    "frechet_distance": "Frechet distance",
    "kernel_distance": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "bins_different": "bins filled differently",
    "bin_divergence": "  divergence, nats",
    "memorisation": "memorisation C_T",
    "class_imbalance": "class imbalance",
    "confidence": "feature extractor's confidence",
    "label_accuracy": "asked-for labels",
    "classifier_accuracy": "classifier trained on them",
}
COLUMNS = {
    "reconstruction_mse": "recon. MSE",
    "frechet_distance": "Frechet",
    "kernel_distance": "kernel",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
    "memorisation": "C_T",
    "label_accuracy": "labels",
}


def report_text(report: Report) -> str:
    """One report as lines of text: each measure, its floor and what is better."""
    rows = [("", report.model, "floor", "")]
    for name, metric in report.metrics.items():
        floor = "-" if metric.floor is None else number(metric.floor)
        rows.append((_title(name), number(metric.value), floor, metric.better))
    head = (
        f"prior {report.prior}, temperature {report.temperature:g}, seed {report.seed}: {report.samples:,} samples "
        f"against as many {report.split} images of {report.data}, by {report.extractor['name']}"
    )
    widths = [_width(rows, column) for column in range(3)]
    lines = [f"{_aligned(row[:3], widths, left=1)}  {row[3]}".rstrip() for row in rows]
    costs = [f"{graph} {count:,}" for graph, count in report.costs.items()]
    return "\n".join([head, *lines, *([f"MACs a image: {', '.join(costs)}"] if costs else [])])


def comparison(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """Reports as the rows of a table under a head, the floor last."""
    shown = [name for name in COLUMNS if any(name in report.metrics for report in reports)]
    rows = [("model", "prior", "MB", *(COLUMNS[name] for name in shown))]
    for report in reports:
        values = (number(report.metrics[name].value) if name in report.metrics else "-" for name in shown)
        rows.append((report.model, report.prior, f"{report.megabytes:.1f}", *values))
    floors: dict[str, Metric] = {name: metric for report in reports for name, metric in report.metrics.items()}
    rows.append(("real images", "", "", *(_floor(floors[name]) for name in shown)))
    return rows


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns, numbers to the right."""
    widths = [_width(rows, column) for column in range(len(rows[0]))]
    return "\n".join(_aligned(row, widths, left=2).rstrip() for row in rows)


def as_markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as a Markdown table, numbers to the right."""
    rule = ["---" if column < 2 else "---:" for column in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def as_json(report: Report) -> str:
    """A report as one line of JSON; a measure that could not be taken is null."""
    content = dataclasses.asdict(report)
    for metric in content["metrics"].values():
        for key in ("value", "floor"):
            if metric[key] is not None and not math.isfinite(metric[key]):
                metric[key] = None
    return json.dumps(content, allow_nan=False)


def number(value: float) -> str:
    """A measure with four digits that count, and no exponent where it can be read without."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = 4 - max(1, len(str(int(abs(value))))) if abs(value) >= 1 else 4
    return f"{value:.{max(digits, 0)}f}"


def _title(name: str) -> str:
    if not name.startswith("log_likelihood"):
        return TITLES[name]
    k = name.removeprefix("log_likelihood_k").removesuffix("_binarised")
    return f"log p(x), k = {k}, nats" + (", binary" if name.endswith("_binarised") else "")


def _floor(metric: Metric) -> str:
    return "-" if metric.floor is None else number(metric.floor)


def _aligned(row: tuple[str, ...], widths: Sequence[int], *, left: int) -> str:
    """Cells in columns, the first `left` of them to the left."""
    cells = zip(row, widths, strict=True)
    return "  ".join(f"{cell:{'<' if i < left else '>'}{width}}" for i, (cell, width) in enumerate(cells))


def _width(rows: Sequence[tuple[str, ...]], column: int) -> int:
    return max(len(row[column]) for row in rows)
