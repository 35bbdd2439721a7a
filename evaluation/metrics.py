"""The metrics of a model. Each is registered once, in METRICS; reports, tables, JSON and help texts use that list.

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

Direction = Literal["lower", "higher", "zero"]  # which values are better; "zero": values near 0


@dataclass(frozen=True)
class Metric:
    """A metric: its function and its texts.

    name: key in JSON. title: name in a report; `{importance_samples}` is replaced by the number of importance samples.
    description: one line of help, with the source. needs: name of the field of MetricInputs that `compute` takes.
    column: short title in a comparison; empty if the comparison omits the metric.
    """

    name: str
    title: str
    description: str
    better: Direction
    needs: str
    compute: Callable[[Any], float]
    column: str = ""


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
        description="Mean squared error of a pixel of reconstructed test images, black being 0 and white 1.",
        better="lower",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.mse),
        column="recon. MSE",
    ),
    Metric(
        name="reconstruction_foreground_mse",
        title="  of bright pixels",
        description="The same over pixels that are bright in the test image.",
        better="lower",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.foreground_mse),
    ),
    Metric(
        name="reconstruction_psnr",
        title="  PSNR, dB",
        description="Peak signal-to-noise ratio of reconstructions, in decibels.",
        better="higher",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.psnr),
    ),
    Metric(
        name="reconstruction_ssim",
        title="  SSIM",
        description="Structural similarity of reconstructions (Wang et al. 2004), 1 for equal images.",
        better="higher",
        needs="reconstructions",
        compute=lambda images: float(images.similarity.ssim),
    ),
    Metric(
        name="reconstruction_frechet_distance",
        title="  Frechet distance",
        description="Frechet distance between the features of reconstructions and of test images.",
        better="lower",
        needs="reconstructions",
        compute=_frechet_distance,
    ),
    Metric(
        name="log_likelihood_bound",
        title="log p(x), k = {importance_samples}, nats",
        description="VAE only: importance-weighted lower bound on log p(x) (Burda et al. 2016), in nats.",
        better="higher",
        needs="grey_likelihood",
        compute=_mean_nats,
    ),
    Metric(
        name="log_likelihood_bound_binarised",
        title="log p(x), k = {importance_samples}, nats, binarised",
        description="The same for test images whose pixels are sampled to be black or white.",
        better="higher",
        needs="binary_likelihood",
        compute=_mean_nats,
    ),
    Metric(
        name="frechet_distance",
        title="Frechet distance",
        description="Squared Frechet distance between Gaussians fitted to features (Heusel et al. 2017).",
        better="lower",
        needs="samples",
        compute=_frechet_distance,
        column="Frechet",
    ),
    Metric(
        name="kernel_distance",
        title="kernel distance",
        description="Squared maximum mean discrepancy of features (Binkowski et al. 2018).",
        better="lower",
        needs="samples",
        compute=_kernel_distance,
        column="kernel",
    ),
    Metric(
        name="precision",
        title="precision",
        description="Fraction of samples within the support of real images (Kynkaanniemi et al. 2019).",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.precision),
        column="precision",
    ),
    Metric(
        name="recall",
        title="recall",
        description="Fraction of real images within the support of samples (Kynkaanniemi et al. 2019).",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.recall),
        column="recall",
    ),
    Metric(
        name="density",
        title="density",
        description="How densely real images surround samples, about 1 if alike (Naeem et al. 2020).",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.density),
    ),
    Metric(
        name="coverage",
        title="coverage",
        description="Fraction of real images with a sample nearby (Naeem et al. 2020).",
        better="higher",
        needs="samples",
        compute=lambda images: float(images.support.coverage),
        column="coverage",
    ),
    Metric(
        name="ndb",
        title="NDB / K",
        description="Fraction of bins that samples and real images fill differently (Richardson, Weiss 2018).",
        better="lower",
        needs="samples",
        compute=lambda images: float(images.bin_difference.ndb),
    ),
    Metric(
        name="js_divergence",
        title="  JS divergence, nats",
        description="Jensen-Shannon divergence of the proportions of these bins, in nats.",
        better="lower",
        needs="samples",
        compute=lambda images: float(images.bin_difference.js_divergence),
    ),
    Metric(
        name="memorisation_c_t",
        title="memorisation C_T",
        description="Far below 0 if samples copy training images (Meehan et al. 2020).",
        better="zero",
        needs="samples",
        compute=_memorisation,
        column="C_T",
    ),
    Metric(
        name="class_imbalance",
        title="class imbalance",
        description="Total variation distance between the predicted classes of samples and of real images.",
        better="lower",
        needs="samples",
        compute=_class_imbalance,
    ),
    Metric(
        name="confidence",
        title="mean class confidence",
        description="Mean probability that the feature extractor gives to its predicted class.",
        better="higher",
        needs="samples",
        compute=_confidence,
    ),
    Metric(
        name="class_accuracy",
        title="class accuracy",
        description="Fraction of samples whose predicted class is the one asked for, all classes equally often.",
        better="higher",
        needs="labelled_samples",
        compute=_class_accuracy,
        column="class acc.",
    ),
    Metric(
        name="classification_accuracy_score",
        title="classification accuracy score",
        description="Accuracy on real images of a classifier trained on samples (Ravuri, Vinyals 2019).",
        better="higher",
        needs="classifier_accuracy",
        compute=float,
    ),
)
