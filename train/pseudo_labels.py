"""Pseudo-labels: images without labels get classes from clusters of their latents.

Source: M. Caron et al., Deep Clustering for Unsupervised Learning of Visual Features, 2018, section 3.2.
"""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from ..data.images import LabelledImages

FIT_LATENTS = 20_000  # k-means runs on at most this many latents; more hardly move the centres
KMEANS_STEPS = 50  # maximum number of iterations of k-means
MIN_CLUSTER_IMAGES = 20  # minimum mean number of images in a cluster, so that a classifier can learn it


def pseudo_labelled(images: LabelledImages, latents: np.ndarray, clusters: int, seed: int) -> LabelledImages:
    """Return n images, each with the index of its latent's cluster as label.

    latents: float32 (n, d). clusters: the number of clusters at most; n images form at most n / MIN_CLUSTER_IMAGES. The
    labels are whole numbers from 0; one of them is missing if its cluster is empty. seed: the clusters differ between
    seeds, and the same input gives the same clusters.
    """
    random = np.random.default_rng(seed)
    count = max(1, min(clusters, len(latents) // MIN_CLUSTER_IMAGES))
    kmeans = KMeans(count, n_init=1, max_iter=KMEANS_STEPS, random_state=int(random.integers(2**32)))
    part = random.permutation(len(latents))[:FIT_LATENTS]
    # With one thread, the clusters do not depend on the number of cores.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns if equal latents give fewer clusters, which is harmless
        labels = kmeans.fit(latents[part]).predict(latents)
    return LabelledImages(images.images, labels.astype(np.int64))
