"""Seconds of the linear probe's SVM, ours against scikit-learn's `SVC(kernel="linear")`: `python benchmarks/svm.py`.

Clusters as wide and as uneven as features of ModelNet40, the same for both, in one process; a single run, because
scikit-learn takes minutes. Ours counts everything: the Gram matrix, the machine, and the predictions. The search is
that of `evaluate linear --protocol clean`: five folds, and eight values of C or more.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.svm import SVC

from crosspoint3d.evaluation.choose_c import choose_c
from crosspoint3d.evaluation.svm import by_features, scaled, svm_predictions

SHAPES = (9843, 2468, 2048, 40)
QUICK = (600, 200, 256, 10)
LATENT = 64
FIT, SEARCH, AGREEMENT = 5.0, 4.0, 0.999


def clusters(sizes: tuple[int, int, int, int], noise: float, generator: np.random.Generator) -> list[np.ndarray]:
    """Train features and labels, then test features and labels: unit clusters lifted from a few dimensions."""
    train, test, width, categories = sizes
    frequency = np.exp(generator.normal(0, 0.8, categories))
    scale = 1 / np.sqrt(1 + np.arange(LATENT) / 4)
    centres = generator.normal(size=(categories, LATENT)) * scale
    lift = generator.normal(size=(LATENT, width)) / np.sqrt(LATENT)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        rest = generator.choice(categories, count - 5 * categories, p=frequency / frequency.sum())
        labels = generator.permutation(np.concatenate([np.repeat(np.arange(categories), 5), rest]))
        latent = centres[labels] + noise * generator.normal(size=(count, LATENT)) * scale
        features = latent @ lift + 0.08 * generator.normal(size=(count, width))
        return np.maximum(features, 0.2 * features).astype(np.float32), labels

    return [*draw(train), *draw(test)]


@contextmanager
def timed(name: str) -> Iterator[Callable[[], tuple[float, float]]]:
    """Print the seconds of the block; afterwards the call gives them: wall time, and CPU time of all threads."""
    start = time.perf_counter(), time.process_time()
    taken: list[float] = []
    yield lambda: (taken[0], taken[1])
    taken += [time.perf_counter() - start[0], time.process_time() - start[1]]
    print(f"{name:44}{taken[0]:9.2f} s wall{taken[1]:9.2f} s CPU", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("TRAIN", "TEST", "WIDTH", "CATEGORIES")
    parser.add_argument("--shapes", type=int, nargs=4, metavar=names, default=SHAPES)
    parser.add_argument("--exponent", type=float, default=1.0, help="C = 10^this where the mean squared length is 1")
    parser.add_argument("--noise", type=float, default=1.8, help="spread of a cluster")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-search", action="store_true", help="leave the search for C out")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to see that it runs; no targets")
    options = parser.parse_args()
    sizes = QUICK if options.quick else tuple(options.shapes)
    train, labels, test, truth = clusters(sizes, options.noise, np.random.default_rng(options.seed))
    c = 10.0**options.exponent
    print("{:,} train shapes, {:,} test shapes, {:,} features, {} categories".format(*sizes))

    with timed("ours: Gram matrix") as gram_seconds:
        features = scaled(train, test)
        gram = features.train @ features.train.T
    with timed("ours: one C, fit and predict") as one_seconds:
        (found,) = svm_predictions(gram, labels, by_features(features.train, features.test), [c])
    searched = None
    if not options.no_search:
        with timed("ours: search") as search_seconds:
            choice = choose_c(gram, labels, options.seed)
        searched = search_seconds()
        print(f"{'':4}10^{choice['exponent']:g} of {len(choice['cross_validation'])} values of C")
    with timed("SVC: fit") as fit_seconds:
        model = SVC(kernel="linear", C=c / features.unit).fit(train, labels)
    with timed("SVC: predict") as predict_seconds:
        expected = model.predict(test)

    agreement = float((found.labels == expected).mean())
    print(f"accuracy {(expected == truth).mean():.4f}; same predictions {agreement:.4%} (target {AGREEMENT:.1%})")
    for kind, name in enumerate(("wall", "CPU")):
        ours, plain = gram_seconds()[kind] + one_seconds()[kind], fit_seconds()[kind]
        both = plain + predict_seconds()[kind]
        print(
            f"{name}: one C {plain / ours:.1f} times as fast as SVC's fit, "
            f"{both / ours:.1f} times as its fit and predict (target {FIT:g})"
        )
        if searched:
            print(f"{name}: Gram and search take {(gram_seconds()[kind] + searched[kind]) / plain:.2f} fits", end=" ")
            print(f"(target below {SEARCH:g})")


if __name__ == "__main__":
    main()
