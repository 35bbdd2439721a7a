"""Choose the labels and images that fit into a figure without overlaps."""

import numpy as np

# Directions from a point to its label: right, left, above, below, and the four diagonals between these.
DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)], np.float64)


def separate(points: np.ndarray, width: float | np.ndarray, height: float) -> np.ndarray:
    """Choose points whose boxes do not overlap: a point is left out if its box overlaps that of an earlier point.

    points: centres of boxes in pixels (n, 2). width, height: size of the boxes in pixels; the width may be an array
    (n,). Returns the indices of the chosen points, int64 (m,).
    """
    widths = np.broadcast_to(np.asarray(width, np.float64), len(points))
    chosen = np.empty(len(points), np.int64)
    count = 0
    for index, (x, y) in enumerate(points):
        others = chosen[:count]
        near_x = np.abs(points[others, 0] - x) < (widths[others] + widths[index]) / 2
        if not (near_x & (np.abs(points[others, 1] - y) < height)).any():
            chosen[count] = index
            count += 1
    return chosen[:count]


def label_positions(points: np.ndarray, sizes: np.ndarray, window: tuple[float, float], gap: float) -> np.ndarray:
    """Place a label beside each point so that no label covers another label or a point, if there is room.

    points: pixels (n, 2). sizes: width and height of each label in pixels (n, 2). window: width and height of the plot,
    which the labels do not leave. gap: pixels between a point and its label. Labels are placed in turn: each takes the
    first free position of those right, left, above and below its point, at the distance `gap` and then farther away.
    Returns the centres of the labels (n, 2).
    """
    centres = np.empty((len(points), 2))
    for index, (point, size) in enumerate(zip(points, sizes, strict=True)):
        best, best_cost = point, np.inf
        for distance in gap * np.array([1, 2, 3.5, 5, 7, 9, 12]):
            for direction in DIRECTIONS:
                centre = point + direction * (size / 2 + distance)
                cost = _overlap(centre, size, points, np.full((len(points), 2), gap))
                cost += _overlap(centre, size, centres[:index], sizes[:index])
                cost += np.maximum(size / 2 - centre, 0).sum() + np.maximum(centre + size / 2 - window, 0).sum()
                if cost < best_cost:
                    best, best_cost = centre, cost
            if best_cost == 0:
                break
        centres[index] = best
    return centres


def _overlap(centre: np.ndarray, size: np.ndarray, centres: np.ndarray, sizes: np.ndarray) -> float:
    """Area in square pixels that a box (2,) and other boxes (m, 2) have in common."""
    common = np.maximum((size + sizes) / 2 - np.abs(centres - centre), 0)
    return float(np.minimum(common, np.minimum(size, sizes)).prod(1).sum())
