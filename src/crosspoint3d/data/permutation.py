"""A random order of any number of things, each place computed by itself: a cipher on {0, ..., n - 1}.

The order of 100 million rows takes no memory, and starts anywhere. Black and Rogaway, "Ciphers with Arbitrary Finite
Domains" (CT-RSA 2002), their generalised Feistel: a place is a pair (left, right) with left < a, right < b and
ab >= n, where a and b are near the square root of n. Rounds add to one half, modulo its range, a hash of the other.
Each is undone by subtracting, so they are a bijection of the ab pairs; what falls on n or above is enciphered again.
"""

import math

import numpy as np
from jaxtyping import Int64, UInt64

ROUNDS, ROUNDS_OF_FEW, FEW = 10, 24, 1024
"""Rounds, and those of permutations of fewer than 1,024 things, which need more to be even."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def key_of(*numbers: int) -> int:
    """A key from numbers of at least 0, such as a seed and what it is used for."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def hashed(key: int, counters: Int64[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    """64 random bits of every counter, equal at every call: the splitmix64 generator at these places."""
    return _mixed(counters.astype(np.uint64) * _GOLDEN + np.uint64(key))


def permuted(
    places: Int64[np.ndarray, " N"], size: int, keys: UInt64[np.ndarray, " N"] | UInt64[np.ndarray, "1"]
) -> Int64[np.ndarray, " N"]:
    """Where a random permutation of `size` things, one for each key, sends each place.

    Args:
        places: from 0 to `size - 1`.
        size: of the permutation.
        keys: one for all places, or one a place.
    """
    if not len(places):
        return np.empty(0, dtype=np.int64)
    left_size = math.isqrt(size - 1) + 1
    right_size = -(-size // left_size)
    count = ROUNDS_OF_FEW if size < FEW else ROUNDS
    rounds = [_mixed(keys + step) for step in np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN]
    result = _enciphered(places, left_size, right_size, rounds)
    while len(outside := np.flatnonzero(result >= size)):
        own = [each if len(each) == 1 else each[outside] for each in rounds]
        result[outside] = _enciphered(result[outside], left_size, right_size, own)
    return result


def _enciphered(
    places: Int64[np.ndarray, " N"], left_size: int, right_size: int, rounds: list[UInt64[np.ndarray, " _"]]
) -> Int64[np.ndarray, " N"]:
    halves = list(np.divmod(places.astype(np.uint64), np.uint64(right_size)))
    sizes = np.uint64(left_size), np.uint64(right_size)
    for number, key in enumerate(rounds):
        to = number % 2
        value = _mixed(halves[1 - to] + key)
        value >>= _HALF
        value *= sizes[to]
        value >>= _HALF  # evenly spread over 0 to size - 1
        value += halves[to]
        halves[to] = np.minimum(value, value - sizes[to])  # modulo: below the size, the difference wraps to above it
    result: np.ndarray = (halves[0] * sizes[1] + halves[1]).astype(np.int64)
    return result


def _mixed(values: UInt64[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    """A bijection of 64-bit numbers that looks random (Stafford's Mix13, the output function of splitmix64); in place.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
    """
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
