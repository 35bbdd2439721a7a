"""Sections with numbers: metrics beside their references, speed on this machine, parity with the trained networks."""

import math

from ..evaluation.metrics import METRICS
from ..evaluation.report import Score
from ..evaluation.speed import Speed, speeds
from ..evaluation.tables import number
from ..runtime.artifact import find
from .blocks import Absent, Block, Section, Table, Text
from .subject import Subject
from .wording import plural

BATCHES, SECONDS = (1, 64), 0.2


def metrics_section(subject: Subject) -> Section:
    """The section with all metrics that apply: value, value of real images, and a sentence on what the metric says."""
    title = "How good it is"
    intro = (
        "Each measure of samples has a reference: what real training images score in place of samples. A model is as "
        "good as it can be where the two agree."
    )
    recorded, report = _recorded(subject), subject.scores
    if report is None:
        return Section("metrics", title, intro, [Absent(subject.unmeasured), recorded])
    rows = []
    for metric in METRICS:
        score = report.metrics.get(metric.name)
        if score is not None:
            cells = [
                _number(score.value),
                _reference(score),
                score.better.replace("zero", "near 0"),
                metric.description,
            ]
            rows.append([metric.heading, *cells])
    caption = (
        f"{report.samples:,} samples of the prior {report.prior}, temperature {report.temperature:g}, seed "
        f"{report.seed}, against as many {subject.split} of {report.data}, by {report.feature_extractor['name']}. "
        f"Real images: {report.samples:,} training images in place of samples"
    )
    caption += (
        f", mean ± standard deviation of {report.reference_sets} such sets." if report.reference_sets > 1 else "."
    )
    if report.likelihood_images:
        latents = plural(report.importance_samples, "latent")
        caption += f" Likelihood: bounds of {report.likelihood_images:,} images, from {latents} for each."
    table = Table(caption, ["measure", "model", "real images", "better", "what it says"], rows, text_columns=(3, 4))
    remarks = [Text(remark) for remark in (subject.reference.remarks if subject.reference is not None else ())]
    return Section("metrics", title, intro, [table, *remarks, recorded])


def _reference(score: Score) -> str:
    """The reference value of a score, which real images get, with its standard deviation if it is known."""
    if score.reference is None:
        return "-"
    return _number(score.reference) + ("" if score.reference_std is None else f" ± {_number(score.reference_std)}")


def _recorded(subject: Subject) -> Table:
    """The table of the values that were measured at export. The manifest holds them."""
    data, quality = subject.manifest.data, subject.manifest.quality
    images = (
        f"{data.test_images:,} test images" if data.test_images else f"{data.validation_images:,} validation images"
    )
    rows = [[name.replace("_", " "), number(value)] for name, value in quality.items()]
    return Table(f"Measured at export, on {images} of {data.name}.", ["measure", "value"], rows)


def speed_section(subject: Subject) -> Section:
    """The section with the time that each method takes on this machine, for one image and for a batch."""
    title, intro = "Speed on this machine", "The median time of many calls; the numbers change from run to run."
    if not subject.speed:
        return Section("speed", title, intro, [Absent("Not measured, as the command that made this page asked.")])
    measured = list(speeds(find(subject.model.path), batches=BATCHES, seconds=SECONDS))
    by_method: dict[str, list[Speed]] = {}
    for speed in measured:
        by_method.setdefault(speed.method, []).append(speed)
    rows = [
        [method, *(cell for speed in both for cell in (_time(speed.seconds), f"{speed.images_per_second:,.0f}"))]
        for method, both in by_method.items()
    ]
    head = ["method"]
    for batch in BATCHES:
        head += [f"a call of {plural(batch, 'image')}", "images a second"]
    caption = "One machine, several threads where they help. `aegen bench` measures more, beside onnxruntime alone."
    return Section("speed", title, intro, [Table(caption, head, rows)])


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms" if seconds >= 0.001 else f"{seconds * 1e6:,.0f} us"


def parity_section(subject: Subject) -> Section:
    """The section that says whether the networks compute on this machine what they computed at export."""
    intro = (
        "The artifact holds inputs and the outputs that the trained networks gave for them. The networks ran again on "
        "this machine, and every file was compared with its hash."
    )
    result = subject.model.verify()
    tolerance = f"{result.atol:g} + {result.rtol:g} of the value"
    if result.int8_tolerance:
        tolerance += f" + {result.int8_tolerance:.2g} of the largest value"
    rows = [
        [graph, f"{difference:.2g}", result.reference[graph]] for graph, difference in result.largest_difference.items()
    ]
    caption = f"Largest difference over {plural(result.pairs, 'input')} of each network; allowed: {tolerance}."
    table = Table(caption, ["network", "largest difference", "from the outputs of"], rows, text_columns=(2,))
    passed = f"Passed: {plural(result.files, 'file')} match their hashes, and all outputs agree."
    failed = "Failed: on this machine the networks do not compute what was trained."
    blocks: list[Block] = [Text(passed) if result.passed else Text(failed, warning=True), table]
    return Section("parity", "Parity", intro, blocks)


def _number(value: float) -> str:
    return number(value) if math.isfinite(value) else "-"
