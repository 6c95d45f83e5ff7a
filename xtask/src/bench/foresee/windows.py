"""Sessions as windows, for the neural peers of `cargo xtask bench foresee --peers`.

In: the file of events that `peers.py` is given. Out: padded arrays of at most 32 items with the pauses before them and
what came next, every event of a span of time that goes on in its session being a target once.
"""

import numpy as np
import torch

WINDOW = 32  # items that a forecast is made from, at most
STRIDE = 16  # targets in a window: each has at least as many items before it, if its session has
BATCH = 32
NO_TARGET = -100
PAUSES = 34


class Events:
    """Events, ordered by session and within it by time."""

    def __init__(self, path, until):
        rows = np.fromfile(path, "<u4").reshape(-1, 3)[:until].astype(np.int64)
        self.items_n = int(rows[:, 1].max()) + 1
        self.order = np.argsort(rows[:, 0], kind="stable")
        sessions = rows[self.order, 0]
        self.item = rows[self.order, 1]
        # Pauses by their power of two.
        self.pause = np.minimum(np.floor(np.log2(rows[self.order, 2] + 1)), PAUSES - 1).astype(np.int64)
        starts = np.flatnonzero(np.r_[True, sessions[1:] != sessions[:-1]])
        self.bounds = list(zip(starts.tolist(), np.r_[starts[1:], len(sessions)].tolist()))

    def often(self, high):
        """How often each item came before a place in time, and a little for those that did not."""
        return np.bincount(self.item[self.order < high], minlength=self.items_n) + 0.1

    def windows(self, low, high):
        """Every event that goes on in its session and whose place in time is from `low` to `high` is a target once."""
        return Windows(self, [one for start, end in self.bounds for one in self.cut(start, end, low, high)])

    def cut(self, start, end, low, high):
        first = max(start + int(np.searchsorted(self.order[start:end], low)), start + 1)
        last = start + int(np.searchsorted(self.order[start:end], high))
        for target in range(first, last, STRIDE):
            stop = min(target + STRIDE, last) - 1
            yield max(start, stop - WINDOW), target, stop


class Windows:
    """Windows as arrays, padded at their ends."""

    def __init__(self, events, cuts):
        self.length = np.array([stop - begin for begin, _, stop in cuts], dtype=np.int64)
        shape = (len(cuts), WINDOW)
        self.items, self.pauses = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.targets = np.full(shape, NO_TARGET)
        for row, (begin, target, stop) in enumerate(cuts):
            self.items[row, : stop - begin] = events.item[begin:stop]
            self.pauses[row, : stop - begin] = events.pause[begin:stop]
            self.targets[row, target - 1 - begin : stop - begin] = events.item[target : stop + 1]

    def __len__(self):
        return len(self.length)

    def batch(self, rows):
        length = int(self.length[rows].max())
        arrays = (self.items, self.pauses, self.targets)
        return [torch.from_numpy(array[rows, :length]) for array in arrays]

    def batches(self, dice=None, rows=None):
        """Windows of like length go together; with dice, shuffled."""
        rows = np.arange(len(self)) if rows is None else rows
        if dice is not None:
            rows = dice.permutation(rows)
        rows = rows[np.argsort(self.length[rows], kind="stable")]
        batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
        for at in dice.permutation(len(batches)) if dice is not None else range(len(batches)):
            yield self.batch(batches[at])
