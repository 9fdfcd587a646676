"""Scores of labels and of cluster sizes."""

from __future__ import annotations

import numpy as np


def agreement(labels: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Compares two labellings of the same images; ignores images that are negative in either of them.

    Args:
        labels: (N,) int64, the cluster of each image.
        reference: (N,) int64, the class of each image, or its cluster in an earlier labelling.

    Returns:
        ``nmi`` (mutual information divided by the geometric mean of the entropies, as in the DeepCluster paper),
        ``nmi_arithmetic`` (divided by their arithmetic mean, scikit-learn's default), ``ari`` (adjusted Rand index) and
        ``purity`` (share of the images whose reference is the most frequent one in their cluster). The dict is empty
        if all images are ignored.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # here, because it is slow to import
    from sklearn.metrics.cluster import contingency_matrix

    both = (labels >= 0) & (reference >= 0)
    labels, reference = labels[both], reference[both]
    if not len(labels):
        return {}
    table = contingency_matrix(reference, labels, sparse=True)
    return dict(
        nmi=float(normalized_mutual_info_score(reference, labels, average_method='geometric')),
        nmi_arithmetic=float(normalized_mutual_info_score(reference, labels, average_method='arithmetic')),
        ari=float(adjusted_rand_score(reference, labels)),
        purity=float(table.max(axis=0).sum() / len(labels)),
    )


def cluster_sizes(labels: np.ndarray, num_clusters: int) -> np.ndarray:
    """Returns the number of images of each cluster, (K,) int64; negative labels do not count."""
    return np.bincount(labels[labels >= 0], minlength=num_clusters)


def size_scores(sizes: np.ndarray) -> dict[str, float]:
    """Describes the sizes (K,) of clusters.

    Returns:
        ``empty`` (number of empty clusters), ``largest`` (share of the images in the largest cluster) and
        ``effective`` (exponential of the entropy of the sizes: the number of equal clusters with the same entropy).
    """
    from scipy.stats import entropy

    return dict(
        empty=float((sizes == 0).sum()),
        largest=float(sizes.max() / max(sizes.sum(), 1)),
        effective=float(np.exp(entropy(sizes))) if sizes.sum() else 0.0,
    )


def collapse(sizes: np.ndarray) -> str | None:
    """Returns a warning if clusters of these sizes (K,) have collapsed, else None.

    At least three clusters count as collapsed if one holds more than half of the images, or if the effective number of
    clusters (see ``size_scores``) is below a tenth of K.
    """
    scores = size_scores(sizes)
    if len(sizes) < 3 or (scores['largest'] <= 0.5 and scores['effective'] >= 0.1 * len(sizes)):
        return None
    return (
        f'the clusters collapse: {int(scores["empty"])} of {len(sizes)} are empty, the largest holds '
        f'{100 * scores["largest"]:.0f} % of the images, and the sizes are as uneven as {scores["effective"]:.1f} '
        'equal clusters. Lower the learning rate or the number of clusters, or look at the features'
    )
