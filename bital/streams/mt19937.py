"""The engine: a Mersenne Twister that hands out 32-bit words and always knows its exact place.

Room: streams; NumPy and the standard library only.

The generator is MT19937 (Matsumoto and Nishimura, ACM TOMACS 8(1), 1998), whose state advances in
blocks of 624 words. NumPy's bit generator is only ever asked for whole blocks; the words of the
newest block are kept here and handed out from there. So NumPy's key is always the key of that
block, and the place inside it is one integer.
"""

from __future__ import annotations

import threading

import numpy as np

BLOCK_WORDS = 624


def temper(key: np.ndarray) -> np.ndarray:
    """The output words (uint32) that belong to the state words `key`."""
    word = key.astype(np.uint32)
    word ^= word >> np.uint32(11)
    word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
    word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
    word ^= word >> np.uint32(18)
    return word


class Engine:
    """Words of one MT19937 stream, taken in bulk.

    `place()` and `move_to()` speak the words of PyTorch's generator state: the 624 state words,
    how many words are `left` before the next block (counting one too many), and the index `next`
    of the word that comes next.
    """

    __slots__ = ("_bits", "_block", "_bulk", "_listed", "_lock", "_next", "_untouched")

    def __init__(self) -> None:
        self._bits = np.random.MT19937(0)
        self._bulk = np.random.RandomState(self._bits)
        self._lock = threading.Lock()
        self._forget(untouched=True)

    def _forget(self, untouched: bool) -> None:
        """The next word will come from a new block; `untouched`: none was ever made."""
        self._block = np.empty(BLOCK_WORDS, np.uint32)
        self._listed: list[int] | None = None  # the block's words as Python's numbers
        self._next = BLOCK_WORDS
        self._untouched = untouched

    def seed(self, seed: int) -> None:
        """Start over from the low 32 bits of `seed`."""
        with self._lock:
            self._bulk.seed(seed & 0xFFFFFFFF)
            self._forget(untouched=True)

    def words(self, count: int) -> np.ndarray:
        """The next `count` words (uint32). It may be a window on the block: never write to it."""
        with self._lock:
            start = self._next
            stop = start + count
            if stop <= BLOCK_WORDS:
                self._next = stop
                return self._block[start:stop]
            return self._words_beyond_block(count)

    def pair(self) -> tuple[int, int]:
        """The next two words as Python's numbers: the quick way to few of them."""
        with self._lock:
            start = self._next
            if start + 2 > BLOCK_WORDS:
                first, second = self._words_beyond_block(2).tolist()
                return first, second
            if self._listed is None:
                self._listed = self._block.tolist()
            self._next = start + 2
            return self._listed[start], self._listed[start + 1]

    def _words_beyond_block(self, count: int) -> np.ndarray:
        self._listed = None
        rest = self._block[self._next :]
        missing = count - rest.size
        blocks = -(-missing // BLOCK_WORDS)
        if blocks == 1:
            fresh = self._bits.random_raw(BLOCK_WORDS).astype(np.uint32)
            self._block = fresh
        else:
            fresh = self._bulk.randint(0, 1 << 32, blocks * BLOCK_WORDS, dtype=np.uint32)
            self._block = fresh[-BLOCK_WORDS:].copy()  # a copy, or it would keep `fresh` alive
        self._next = missing - (blocks - 1) * BLOCK_WORDS
        self._untouched = False
        return np.concatenate((rest, fresh[:missing])) if rest.size else fresh[:missing]

    def place(self) -> tuple[np.ndarray, int, int]:
        """(state words, `left`, `next`) as PyTorch's generator would have them here."""
        with self._lock:
            key = self._bits.state["state"]["key"]
            if self._untouched:
                return key, 1, 0
            return key, BLOCK_WORDS + 1 - self._next, self._next

    def move_to(self, key: np.ndarray, left: int, next_: int) -> None:
        """Go to a place that `place` described.

        Raises RuntimeError where `left` and `next_` do not fit together.
        """
        at_end = left == 1
        if not at_end and (not 1 < left <= BLOCK_WORDS or left + next_ != BLOCK_WORDS + 1):
            raise RuntimeError("Invalid mt19937 state")
        key = np.ascontiguousarray(key, dtype=np.uint32)
        with self._lock:
            self._bits.state = {
                "bit_generator": "MT19937",
                "state": {"key": key, "pos": BLOCK_WORDS},
            }
            self._forget(untouched=at_end and next_ == 0)
            if not at_end:
                self._block, self._listed = temper(key), None
                self._next = next_
