"""The metrics of a model. Each is registered once, in METRICS; reports, tables, JSON, help and docs use that list.

To add a metric, write its function and add an entry to METRICS. If the function needs a new kind of
input, also add a field to MetricInputs.
Modules with slow imports are imported in functions, because the help of the command line lists the metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .likelihood import LikelihoodBound
    from .metric_inputs import ScoredImages

Direction = Literal["lower", "higher", "zero"]  # which values are better: lower ones, higher ones, or those near 0


@dataclass(frozen=True)
class Metric:
    """A metric: its function and its texts.

    name: key in JSON; it is the title in lower case, with underscores. title: name everywhere else. meaning: what the
    metric says, in one sentence for a learner. source: author and year of the publication, or "" if there is none.
    needs: name of the field of MetricInputs that `compute` takes. unit: the unit of the value, or "" if it has none.
    compared: whether a comparison of models has a column for the metric.
    """

    name: str
    title: str
    meaning: str
    better: Direction
    needs: str
    compute: Callable[[Any], float]
    source: str = ""
    unit: str = ""
    compared: bool = False

    @property
    def description(self) -> str:
        """The meaning, followed by the source in brackets if there is one."""
        return f"{self.meaning} ({self.source})" if self.source else self.meaning

    @property
    def heading(self) -> str:
        """The title, followed by the unit if there is one."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


def _frechet_distance(images: "ScoredImages") -> float:
    from .distances import frechet_distance

    return frechet_distance(images.extracted.features, images.reference.test_features.features)


def _kernel_distance(images: "ScoredImages") -> float:
    from .distances import kernel_distance

    return kernel_distance(images.extracted.features, images.reference.test_features.features)


def _memorisation(images: "ScoredImages") -> float:
    from .neighbours import memorisation

    reference, features = images.reference, images.extracted.features
    return memorisation(reference.training_features, reference.test_features.features, features, reference.cell_centres)


def _class_imbalance(images: "ScoredImages") -> float:
    from .bins import class_imbalance

    return class_imbalance(images.extracted.probabilities, images.reference.test_features.probabilities)


def _confidence(images: "ScoredImages") -> float:
    return float(images.extracted.probabilities.max(1).mean())


def _class_accuracy(images: "ScoredImages") -> float:
    return float((images.extracted.predicted_labels == images.labels).mean())


def _mean_nats(bound: "LikelihoodBound") -> float:
    return float(bound.nats.mean())


METRICS = (
    Metric(
        name="reconstruction_mse",
        title="reconstruction MSE",
        meaning="How much the grey level of a pixel differs after encoding and decoding, squared, with black 0 and "
        "white 1.",
        better="lower",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.mse),
        compared=True,
    ),
    Metric(
        name="reconstruction_foreground_mse",
        title="reconstruction foreground MSE",
        meaning="The same for bright pixels only, because the black border of a digit is easy and makes the error "
        "look small.",
        better="lower",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.foreground_mse),
    ),
    Metric(
        name="reconstruction_psnr",
        title="reconstruction PSNR",
        meaning="The MSE in decibels: each halving of the error adds 3.",
        unit="dB",
        better="higher",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.psnr),
    ),
    Metric(
        name="reconstruction_ssim",
        title="reconstruction SSIM",
        meaning="How similar small patches of an image and its reconstruction are in brightness, contrast and "
        "structure; 1 means equal.",
        source="Wang et al. 2004",
        better="higher",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.ssim),
    ),
    Metric(
        name="reconstruction_frechet_distance",
        title="reconstruction Frechet distance",
        meaning="How far reconstructions as a whole differ from the same images before encoding; samples can hardly "
        "be better than this.",
        source="Heusel et al. 2017",
        better="lower",
        needs="reconstructions",
        compute=_frechet_distance,
    ),
    Metric(
        name="log_likelihood_bound",
        title="log-likelihood bound",
        meaning="How probable the model finds real images: a lower bound on the mean log-probability, only for a VAE.",
        source="Burda et al. 2016",
        unit="nats",
        better="higher",
        needs="grey_likelihood",
        compute=_mean_nats,
    ),
    Metric(
        name="log_likelihood_bound_binarised",
        title="log-likelihood bound, binarised",
        meaning="The same for images whose pixels were made black or white at random, as papers report it.",
        source="Salakhutdinov, Murray 2008",
        unit="nats",
        better="higher",
        needs="binary_likelihood",
        compute=_mean_nats,
    ),
    Metric(
        name="frechet_distance",
        title="Frechet distance",
        meaning="How far the features of samples as a whole lie from those of real images, in their mean and their "
        "covariance.",
        source="Heusel et al. 2017",
        better="lower",
        needs="samples",
        compute=_frechet_distance,
        compared=True,
    ),
    Metric(
        name="kernel_distance",
        title="kernel distance",
        meaning="The same without the assumption that features are Gaussian; near 0, or even below, if samples are "
        "like real images.",
        source="Binkowski et al. 2018",
        better="lower",
        needs="samples",
        compute=_kernel_distance,
        compared=True,
    ),
    Metric(
        name="precision",
        title="precision",
        meaning="The fraction of samples that resemble some real image: quality.",
        source="Kynkaanniemi et al. 2019",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.precision),
        compared=True,
    ),
    Metric(
        name="recall",
        title="recall",
        meaning="The fraction of real images that resemble some sample: variety.",
        source="Kynkaanniemi et al. 2019",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.recall),
        compared=True,
    ),
    Metric(
        name="density",
        title="density",
        meaning="How many real images are near a sample, compared with real images themselves; about 1 if alike.",
        source="Naeem et al. 2020",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.density),
    ),
    Metric(
        name="coverage",
        title="coverage",
        meaning="The fraction of real images that have a sample nearby; a few outliers hardly change it.",
        source="Naeem et al. 2020",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.coverage),
        compared=True,
    ),
    Metric(
        name="ndb",
        title="NDB",
        meaning="Real images are divided into groups by their pixels: the fraction of groups that samples fill too "
        "much or too little.",
        source="Richardson, Weiss 2018",
        better="lower",
        needs="samples",
        compute=lambda images: float(images.bin_difference.ndb),
    ),
    Metric(
        name="js_divergence",
        title="JS divergence",
        meaning="How different the sizes of these groups are among samples and among real images.",
        source="Richardson, Weiss 2018",
        unit="nats",
        better="lower",
        needs="samples",
        compute=lambda images: float(images.bin_difference.js_divergence),
    ),
    Metric(
        name="memorisation_c_t",
        title="memorisation C_T",
        meaning="Whether samples copy training images: far below 0 if they are closer to training images than other "
        "real images are.",
        source="Meehan et al. 2020",
        better="zero",
        needs="samples",
        compute=_memorisation,
        compared=True,
    ),
    Metric(
        name="class_imbalance",
        title="class imbalance",
        meaning="How much the frequencies of classes among samples differ from those among real images: 0 if equal, "
        "at most 1.",
        better="lower",
        needs="samples",
        compute=_class_imbalance,
    ),
    Metric(
        name="confidence",
        title="confidence",
        meaning="How sure the feature extractor is of the class of a sample; low if samples are ambiguous.",
        better="higher",
        needs="samples",
        compute=_confidence,
    ),
    Metric(
        name="class_accuracy",
        title="class accuracy",
        meaning="The fraction of samples of a requested class that the feature extractor assigns to this class.",
        better="higher",
        needs="labelled_samples",
        compute=_class_accuracy,
        compared=True,
    ),
    Metric(
        name="classification_accuracy_score",
        title="classification accuracy score",
        meaning="How well a classifier that was trained on samples alone recognises real images; only on request.",
        source="Ravuri, Vinyals 2019",
        better="higher",
        needs="classifier_accuracy",
        compute=float,
    ),
)
