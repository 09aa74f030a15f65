"""Two samples of runs side by side: means and spreads with their standard errors, and how far apart they are."""

import math

import numpy as np


def jackknifed(statistic, values):
    """A statistic and its standard error, by leaving out one value after the other."""
    n = len(values)
    without = np.array([statistic(np.delete(values, i)) for i in range(n)])
    return statistic(values), math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())


def logarithm_of_spread(values):
    return math.log(max(np.std(values, ddof=1), 1e-30))


class Comparison:
    """Prints line by line what is compared, and at the end how much of it is apart.

    Of two samples of one distribution about one comparison in twenty is more than 2 standard errors apart, and one in
    three hundred more than 3.
    """

    def __init__(self):
        self.distances = []
        print(f"{'':34} {'ours':>18} {'PyTorch':>18} {'apart':>6}   {'spread':>8} {'PyTorch':>8} {'apart':>6}")

    def add(self, name, ours, theirs):
        """Compares two arrays of one number a run; NaN where a run has none."""
        ours, theirs = (np.asarray(a, float) for a in (ours, theirs))
        lacking = [int(np.isnan(a).sum()) for a in (ours, theirs)]
        ours, theirs = (a[~np.isnan(a)] for a in (ours, theirs))
        if min(len(ours), len(theirs)) < 3:
            print(f"{name:34} too few runs have it: {len(ours)} of ours, {len(theirs)} of PyTorch's")
            return
        cells, apart = [], []
        for statistic in (np.mean, logarithm_of_spread):
            (a, error_a), (b, error_b) = (jackknifed(statistic, x) for x in (ours, theirs))
            error = math.hypot(error_a, error_b)
            apart.append((a - b) / error if error > 0 else 0.0)
            cells.append((a, error_a, b, error_b))
        mean, spread = cells
        self.distances += apart
        note = f"   (lacking: {lacking[0]} of ours, {lacking[1]} of PyTorch's)" if any(lacking) else ""
        print(
            f"{name:34} {mean[0]:>9.4g} ± {mean[1]:<6.2g} {mean[2]:>9.4g} ± {mean[3]:<6.2g} {apart[0]:>+6.1f}   "
            f"{math.exp(spread[0]):>8.3g} {math.exp(spread[2]):>8.3g} {apart[1]:>+6.1f}{note}",
            flush=True,
        )

    def conclude(self):
        distances = np.abs(self.distances)
        n = len(distances)
        print(
            f"{n} comparisons: {(distances > 2).sum()} more than 2 standard errors apart (by chance about "
            f"{0.046 * n:.0f}), {(distances > 3).sum()} more than 3 (about {0.0027 * n:.1f}), "
            f"the largest {distances.max():.1f}"
        )
