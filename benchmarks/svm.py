"""Seconds of the linear probe's SVM, ours against scikit-learn's `SVC(kernel="linear")`: `python benchmarks/svm.py`.

Clusters as wide and as uneven as features of ModelNet40, the same for both, in one process; a single run, because
scikit-learn takes minutes. Ours counts everything: scaling, the Gram matrix, the machines and the predictions; only the
kernel's compilation is left out, once an installation. The target is against SVC's fit alone, though ours predicts too.
Two searches: the seven values of C in five folds of the target, and what `evaluate linear --protocol clean` does.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.svm import SVC

from crosspoint3d.evaluation.choose_c import FOLDS, choose_c, stratified_folds
from crosspoint3d.evaluation.svm import by_features, by_products, scaled, svm_predictions

SHAPES = (9843, 2468, 2048, 40)
QUICK = (600, 200, 256, 10)
LATENT = 64
EXPONENTS = range(-2, 5)
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


def search(gram: np.ndarray, labels: np.ndarray, seed: int) -> dict[float, float]:
    """Cross-validated accuracy of each C of the target's grid."""
    fold = stratified_folds(labels, FOLDS, np.random.default_rng(seed))
    cs, right = [10.0**exponent for exponent in EXPONENTS], np.zeros(len(EXPONENTS))
    for held_out in range(FOLDS):
        train, check = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        found = svm_predictions(gram, labels, by_products(gram[check]), cs, train)
        right += [(predictions.labels == labels[check]).sum() for predictions in found]
    return dict(zip(cs, right / (fold >= 0).sum(), strict=True))


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

    few = np.arange(min(len(labels), 600))
    svm_predictions(train[few] @ train[few].T, labels[few], by_features(train[few], test), [c])  # compiles

    with timed("ours: scale, Gram matrix") as gram_seconds:
        features = scaled(train, test)
        gram = features.train @ features.train.T
    with timed("ours: one C, fit and predict") as one_seconds:
        (found,) = svm_predictions(gram, labels, by_features(features.train, features.test), [c])
    if not options.no_search:
        with timed(f"ours: search, {FOLDS} folds, {len(EXPONENTS)} values of C") as search_seconds:
            search(gram, labels, options.seed)
        with timed("ours: search as in `evaluate linear`") as choice_seconds:
            choice = choose_c(gram, labels, options.seed)
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
            f"{name}: one C {plain / ours:.1f} times as fast as SVC's fit (target {FIT:g}), "
            f"{both / ours:.1f} times as its fit and predict"
        )
        if not options.no_search:
            taken = [(gram_seconds()[kind] + seconds()[kind]) / plain for seconds in (search_seconds, choice_seconds)]
            print(f"{name}: Gram and search take {taken[0]:.2f} fits (target below {SEARCH:g}), ", end="")
            print(f"as in `evaluate linear` {taken[1]:.2f}")


if __name__ == "__main__":
    main()
