"""In cases where theory gives the value of an evaluation metric, the metric has that value."""

import numpy as np
import pytest
from aegen.evaluation.bins import bin_difference, class_imbalance, k_means
from aegen.evaluation.distances import frechet_distance, kernel_distance
from aegen.evaluation.neighbours import Support, memorisation, nearest, support
from aegen.evaluation.similarity import similarity, structural_similarity
from aegen.evaluation.tables import number


def normals(n, seed, d=8):
    """Sample n points from the standard normal distribution, float32 (n, d)."""
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def two_classes(n, seed):
    """Make points, float64 (n, 8): two distant clusters of equal size, one for each class."""
    return normals(n, seed) + 20 * (np.arange(n) % 2)[:, None]


def test_the_frechet_distance_of_a_set_to_itself_is_0():
    assert frechet_distance(normals(500, 0), normals(500, 0)) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_of_shifted_and_scaled_gaussians_has_a_closed_form():
    a = normals(500, 0).astype(np.float64) @ np.random.default_rng(1).standard_normal((8, 8))
    shift, scale = np.arange(8.0), 1.5
    expected = shift @ shift + np.trace(np.cov(a.T)) * (scale - 1) ** 2
    b = (a - a.mean(0)) * scale + a.mean(0) + shift
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_the_frechet_distance_is_the_sum_over_independent_dimensions():
    a, b = normals(4000, 0), normals(4000, 1) * np.float32(2)
    assert frechet_distance(a, b) == pytest.approx(8 * (2 - 1) ** 2, rel=0.05)


def test_the_kernel_distance_is_the_unbiased_mean_over_all_pairs():
    a, b = normals(30, 0, d=3).astype(np.float64), normals(30, 1, d=3).astype(np.float64) + 1

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    pairs = [(i, j) for i in range(30) for j in range(30) if i != j]
    within = np.mean([kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within - 2 * between, rel=1e-9)


def test_the_kernel_distance_of_one_distribution_is_about_0():
    a, b = normals(400, 0), normals(400, 1)
    assert abs(kernel_distance(a, b)) < 0.1
    assert kernel_distance(a, b + np.float32(0.5)) > 0.5


def test_equal_sets_have_full_precision_recall_and_coverage():
    result = support(normals(400, 0), normals(400, 0))
    assert (result.precision, result.recall, result.coverage) == (1, 1, 1)


def test_one_distribution_has_the_expected_coverage_and_density():
    result = support(normals(4000, 0), normals(4000, 1))
    # A real image is covered unless its 5 nearest neighbours are all real. Each neighbour is real with probability 0.5.
    assert result.coverage == pytest.approx(1 - 0.5**5, abs=0.01)
    assert result.density == pytest.approx(1, abs=0.05)


def test_a_missing_class_halves_recall_and_coverage_but_not_precision():
    real, generated = two_classes(2000, 0), normals(2000, 1)
    one_class, both_classes = support(real, generated), support(real, two_classes(2000, 1))
    assert one_class.recall == pytest.approx(both_classes.recall / 2, abs=0.05)
    assert one_class.coverage == pytest.approx(0.5, abs=0.02)
    assert one_class.precision == pytest.approx(both_classes.precision, abs=0.05)


def test_images_far_from_the_data_have_no_precision_and_no_density():
    assert support(normals(400, 0), normals(400, 1) + 100) == Support(0, 0, 0, 0)


def test_nearest_gives_the_neighbour_at_the_smallest_distance():
    a, b = normals(50, 0), normals(70, 1)
    distances = np.linalg.norm(a[:, None] - b, axis=2)
    indices, nearest_distances = nearest(a, b)
    assert np.array_equal(indices, distances.argmin(1))
    assert np.allclose(nearest_distances, distances.min(1), atol=1e-3)


def test_memorisation_tells_copies_of_training_images_from_new_ones():
    training, test = two_classes(4000, 0), two_classes(1000, 1)
    centres = k_means(training, 2)
    assert abs(memorisation(training, test, two_classes(1000, 2), centres)) < 3
    copies = training[:1000] + np.float32(0.01) * normals(1000, 3)
    assert memorisation(training, test, copies, centres) < -20
    assert memorisation(training, test, two_classes(1000, 2) + 1, centres) > 3


def test_k_means_finds_distant_clusters():
    points = two_classes(1000, 0)
    centres = k_means(points, 2)
    assert sorted(centres.mean(1)) == pytest.approx([0, 20], abs=0.2)


def test_equal_sets_fill_bins_equally_and_a_missing_class_does_not():
    real = two_classes(2000, 0)
    centres = np.stack([np.zeros(8), np.full(8, 20)]).astype(np.float32)
    same = bin_difference(real, real, centres)
    one_class = bin_difference(real, normals(2000, 1), centres)
    assert (same.ndb, same.js_divergence) == (0, 0)
    assert one_class.ndb == 1
    p, m = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    expected = 0.5 * (p * np.log(p / m)).sum() + 0.5 * np.log(1 / 0.75)
    assert one_class.js_divergence == pytest.approx(expected)


def test_about_one_bin_in_twenty_differs_between_sets_of_one_distribution():
    centres = k_means(normals(20_000, 9), 100)
    ndb = [bin_difference(normals(5000, i), normals(5000, 50 + i), centres).ndb for i in range(10)]
    assert np.mean(ndb) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("shape", [(28, 28), (12, 16, 3), (4, 5)])
def test_equal_images_have_ssim_1_and_a_constant_difference_has_a_known_mse(shape):
    images = np.random.default_rng(0).integers(0, 200, (5, *shape), np.uint8)
    same = similarity(images, images)
    assert (same.mse, same.ssim) == (0, pytest.approx(1))
    brighter = similarity(images, images + 51)
    assert brighter.mse == pytest.approx(0.04, rel=1e-4)
    assert brighter.foreground_mse == pytest.approx(0.04, rel=1e-4)
    assert brighter.psnr == pytest.approx(13.979, abs=1e-3)


def test_the_structural_similarity_of_flat_images_has_a_closed_form():
    a, b = np.full((1, 9, 9), 0.2), np.full((1, 9, 9), 0.6)
    assert structural_similarity(a, b)[0] == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))


def test_only_bright_pixels_count_as_foreground():
    image = np.zeros((1, 4, 4), np.float32)
    image[0, 0, 0] = 1
    assert similarity(image, np.zeros_like(image)).foreground_mse == 1
    assert similarity(image, np.zeros_like(image)).mse == 1 / 16


def test_the_class_imbalance_of_a_missing_class_is_its_frequency():
    balanced, without_one = np.eye(4)[np.arange(400) % 4], np.eye(4)[np.arange(300) % 3]
    assert class_imbalance(balanced, balanced) == 0
    assert class_imbalance(without_one, balanced) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0000"), (0.00791, "0.0079"), (4.1284, "4.128"), (30.63, "30.63"), (565.21, "565.2"), (-88.512, "-88.51")],
)
def test_numbers_have_four_significant_digits(value, text):
    assert number(value) == text
