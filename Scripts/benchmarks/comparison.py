"""Two samples of runs side by side: means and spreads, and how many standard errors they are apart."""

import math

import numpy as np


def apart(ours, theirs):
    """How many standard errors two samples' means, and the logarithms of their standard deviations, are apart.

    The errors are those of two samples of one distribution, whose variance and kurtosis come from both: a few runs of
    one side tell too little of them.
    """
    both = np.concatenate([ours - ours.mean(), theirs - theirs.mean()])
    variance = (both**2).sum() / (len(both) - 2)
    if variance == 0:
        return 0.0, 0.0
    share = 1 / len(ours) + 1 / len(theirs)
    mean = (ours.mean() - theirs.mean()) / math.sqrt(variance * share)
    kurtosis = (both**4).mean() / (both**2).mean() ** 2
    spreads = [max(a.std(ddof=1), 1e-30) for a in (ours, theirs)]
    return mean, math.log(spreads[0] / spreads[1]) / math.sqrt((kurtosis - 1) / 4 * share)


class Comparison:
    """Prints line by line what is compared, and at the end how much of it is apart.

    Of two samples of one distribution about one comparison in twenty is more than 2 standard errors apart, and one in
    three hundred more than 3, if there are a dozen runs or more of each.
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
        mean, spread = apart(ours, theirs)
        self.distances += [mean, spread]
        cells = [f"{a.mean():>9.4g} ± {a.std(ddof=1) / math.sqrt(len(a)):<6.2g}" for a in (ours, theirs)]
        note = f"   (lacking: {lacking[0]} of ours, {lacking[1]} of PyTorch's)" if any(lacking) else ""
        print(
            f"{name:34} {cells[0]} {cells[1]} {mean:>+6.1f}   "
            f"{ours.std(ddof=1):>8.3g} {theirs.std(ddof=1):>8.3g} {spread:>+6.1f}{note}",
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
