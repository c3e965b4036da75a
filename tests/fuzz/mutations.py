"""Damage to files: what a disk, a download, an editor or a hostile author does to a prototxt or a weights file."""

import re

import numpy as np

NUMBERS = "0 -1 1 2 3 7 255 65536 2147483647 2147483648 4294967295 4294967296 9223372036854775807 18446744073709551616"
NUMBERS += " -2147483648 -9223372036854775808 1e30 1e-45 1e400 nan inf -inf 0x7fffffff 017 1.5 -0.0 true false MAX"
NESTS = ("layer {", "layer { layer {", "input_param { shape {", "a {", "[", "transform_param <")
STRAYS = ('"', "'", "{", "}", ":", "\\", "#", "\0", "\xff", "\n", ",", "<", "[", "\\x", "\ufeff")


def text(whole: str, other: str, rng: np.random.Generator) -> bytes:
    """A prototxt with one to three wounds, often to its numbers alone; `other` is one that pieces may come from."""
    kinds = (number, number, small) if rng.random() < 0.6 else TEXT
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        whole = kinds[int(rng.integers(len(kinds)))](whole, other, rng)
    damaged = whole.encode("utf-8", "surrogatepass")
    return flip(damaged, rng) if rng.random() < 0.1 else damaged


def binary(whole: bytes, rng: np.random.Generator) -> bytes:
    """A weights or model file with one to four wounds."""
    for _ in range(int(rng.integers(1, 5))):
        whole = BINARY[int(rng.integers(len(BINARY)))](whole, rng)
    return whole


def spot(whole: str | bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(len(whole) + 1))


def _at_a_match(pattern: str, whole: str, new: str, rng: np.random.Generator) -> str:
    found = list(re.finditer(pattern, whole))
    if not found:
        return whole
    m = found[int(rng.integers(len(found)))]
    return whole[: m.start()] + new + whole[m.end() :]


def number(whole: str, other: str, rng: np.random.Generator) -> str:
    """A number or enum replaced by a hostile one."""
    return _at_a_match(r"(?<=: )[-\w.]+", whole, str(rng.choice(NUMBERS.split())), rng)


def small(whole: str, other: str, rng: np.random.Generator) -> str:
    """A number replaced by one that a layer may well take."""
    return _at_a_match(r"(?<=: )[-\w.]+", whole, str(rng.integers(-3, 20)), rng)


def exchange(whole: str, other: str, rng: np.random.Generator) -> str:
    """A word replaced by a word of another file."""
    words = re.findall(r'\w+|"[^"\n]*"', other) or [""]
    return _at_a_match(r'\w+|"[^"\n]*"', whole, words[int(rng.integers(len(words)))], rng)


def cut(whole: str, other: str, rng: np.random.Generator) -> str:
    return whole[: spot(whole, rng)]


def stray(whole: str, other: str, rng: np.random.Generator) -> str:
    at = spot(whole, rng)
    return whole[:at] + str(rng.choice(STRAYS)) + whole[at:]


def drop_line(whole: str, other: str, rng: np.random.Generator) -> str:
    lines = whole.split("\n")
    del lines[int(rng.integers(len(lines)))]
    return "\n".join(lines)


def repeat_line(whole: str, other: str, rng: np.random.Generator) -> str:
    lines = whole.split("\n")
    i = int(rng.integers(len(lines)))
    return "\n".join(lines[:i] + [lines[i]] * int(rng.choice([2, 3, 200])) + lines[i + 1 :])


def graft(whole: str, other: str, rng: np.random.Generator) -> str:
    """Lines of another file put in."""
    lines, at = other.split("\n"), spot(whole, rng)
    i = int(rng.integers(len(lines)))
    return whole[:at] + "\n".join(lines[i : i + int(rng.integers(1, 8))]) + whole[at:]


def nest(whole: str, other: str, rng: np.random.Generator) -> str:
    at = spot(whole, rng)
    return whole[:at] + str(rng.choice(NESTS)) * int(rng.choice([3, 101, 5000, 100_000])) + whole[at:]


def many(whole: str, other: str, rng: np.random.Generator) -> str:
    """A list far longer than any layer wants."""
    field = str(rng.choice(["dim: 2 ", "kernel_size: 3 ", "pad: 1 ", "slice_point: 1 ", "bottom: 'x' ", "top: 'x' "]))
    return _at_a_match(r"(?<=\{)", whole, field * int(rng.choice([5, 33, 70, 2000])), rng)


def flip(whole: bytes, rng: np.random.Generator) -> bytes:
    """Some bits turned over."""
    damaged = bytearray(whole)
    for _ in range(int(rng.integers(1, 9)) if whole else 0):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def early_flip(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bits turned over near the beginning, where heads and names are."""
    return flip(whole[:200], rng) + whole[200:]


def cut_bytes(whole: bytes, rng: np.random.Generator) -> bytes:
    return whole[: spot(whole, rng)]


def huge(whole: bytes, rng: np.random.Generator) -> bytes:
    """A base-128 number of many digits somewhere: a length, a size or a tag that lies."""
    at = spot(whole, rng)
    return whole[:at] + b"\xff" * int(rng.integers(1, 12)) + b"\x01" + whole[at + int(rng.integers(0, 3)) :]


def splice(whole: bytes, rng: np.random.Generator) -> bytes:
    """A piece of the file in another place."""
    (low, high), at = sorted(spot(whole, rng) for _ in range(2)), spot(whole, rng)
    return whole[:at] + whole[low:high][:4096] * int(rng.integers(1, 4)) + whole[at:]


def noise(whole: bytes, rng: np.random.Generator) -> bytes:
    at = spot(whole, rng)
    return whole[:at] + rng.bytes(int(rng.integers(1, 64))) + whole[at:]


def nested(whole: bytes, rng: np.random.Generator) -> bytes:
    """Groups, or messages within messages, deeper than a stack."""
    at, group = spot(whole, rng), bytes([int(rng.choice([0x0B, 0x0A, 0xA2]))])
    return whole[:at] + group * int(rng.choice([10, 200, 20_000])) + whole[at:]


TEXT = (number, small, exchange, exchange, cut, stray, drop_line, repeat_line, graft, nest, many)
BINARY = (flip, flip, early_flip, early_flip, cut_bytes, huge, splice, noise, nested)
