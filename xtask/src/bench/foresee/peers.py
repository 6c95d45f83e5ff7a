"""The neural peers of `cargo xtask bench foresee --peers`: an LSTM and a small Transformer that say what comes next.

In: a file of events in the order of time, each three 32-bit numbers: session, item, pause since the event before in
the session (ms); where the past ends. Out: one JSON object on standard output; progress goes to standard error.

Width, learning rate, the number of steps and how eagerly the model goes on learning are chosen on the last fifth of the
past. Then a fresh model learns all of the past. It is scored on the future in 20 parts, and learns each part after
it was scored, as weft's counts do. Everything runs on one thread, within a budget of CPU seconds.
"""

import argparse
import copy
import json
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

from windows import BATCH, NO_TARGET, PAUSES, WINDOW, Events

PARTS = 20
VALIDATION_SHARE = 0.2
VALIDATION_WINDOWS_MAX = 4_000
PATIENCE = 3
TIMED = 1_000
GRID = {
    "lstm": [(64, 0.002), (64, 0.006), (128, 0.002), (128, 0.006)],
    "transformer": [(64, 0.001), (64, 0.003), (128, 0.001), (128, 0.003)],
}
# How much slower or faster than at first a model goes on learning while it is scored.
EAGERNESS = [0.0, 0.3, 1.0]


class Inputs(nn.Module):
    """An item and the pause before it, as a vector."""

    def __init__(self, items, width):
        super().__init__()
        self.item = nn.Embedding(items, width)
        self.pause = nn.Embedding(PAUSES, width)
        nn.init.normal_(self.item.weight, std=0.1)
        nn.init.zeros_(self.pause.weight)

    def forward(self, items, pauses):
        return self.item(items) + self.pause(pauses)


class Lstm(nn.Module):
    """One layer; its state is kept from event to event of a session."""

    def __init__(self, items, width):
        super().__init__()
        self.inputs = Inputs(items, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(width, items)

    def forward(self, items, pauses):
        hidden, _ = self.lstm(self.drop(self.inputs(items, pauses)))
        return self.drop(hidden)

    def step(self, items, pauses, state):
        hidden, state = self.lstm(self.inputs(items[:, -1:], pauses[:, -1:]), state)
        return self.out(hidden[:, -1]).topk(3).indices, state


class Transformer(nn.Module):
    """Two causal layers with four heads and learned places."""

    def __init__(self, items, width):
        super().__init__()
        self.inputs = Inputs(items, width)
        self.place = nn.Parameter(torch.randn(WINDOW, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, items)
        self.register_buffer("mask", torch.triu(torch.full((WINDOW, WINDOW), float("-inf")), 1))

    def forward(self, items, pauses):
        length = items.shape[1]
        inputs = self.inputs(items, pauses) + self.place[:length]
        return self.layers(inputs, mask=self.mask[:length, :length], is_causal=True)

    def step(self, items, pauses, state):
        return self.out(self(items, pauses)[:, -1]).topk(3).indices, state


def start(model, often):
    """Lets a model begin with how often items come; its last layer knows items by the same vectors as its first."""
    model.out.weight = model.inputs.item.weight
    with torch.no_grad():
        model.out.bias.copy_(torch.from_numpy(np.log(often / often.sum())))
    return model


MODELS = {"lstm": Lstm, "transformer": Transformer}


def learn(model, optimizer, batch):
    """One step."""
    items, pauses, targets = batch
    model.train()
    optimizer.zero_grad(set_to_none=True)
    kept = targets != NO_TARGET
    loss = nn.functional.cross_entropy(model.out(model(items, pauses)[kept]), targets[kept])
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


@torch.inference_mode()
def score(model, windows, rows=None):
    """How many targets came first, how many within the first three, how many there were."""
    model.eval()
    first = third = n = 0
    for items, pauses, targets in windows.batches(rows=rows):
        kept = targets != NO_TARGET
        right = model.out(model(items, pauses)[kept]).topk(3).indices == targets[kept][:, None]
        first += int(right[:, 0].sum())
        third += int(right.any(1).sum())
        n += len(right)
    return np.array([first, third, n])


class Trial:
    """One choice of width and learning rate, trained on the past without its end."""

    def __init__(self, make, choice, windows, valid, seed):
        self.choice, self.windows, self.valid = choice, windows, valid
        torch.manual_seed(seed)
        self.model = make(choice[0])
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=choice[1])
        self.dice = np.random.default_rng(seed)
        self.rows = self.dice.permutation(len(valid))[:VALIDATION_WINDOWS_MAX]
        self.steps, self.worse, self.best = 0, 0, (-1.0, 0, None)
        self.batches = iter(())

    def go_on(self, seconds):
        """Learns until the time is over, or the model gets no better; looks once an epoch, or every eighth of the time."""
        begun = looked = time.process_time()
        while self.worse < PATIENCE:
            batch = next(self.batches, None)
            over = time.process_time() - begun > seconds
            if over or (self.steps > 0 and batch is None) or time.process_time() - looked > seconds / 8:
                self.look()
                looked = time.process_time()
            if over:
                break
            if batch is None:
                self.batches = self.windows.batches(self.dice)
                batch = next(self.batches)
            learn(self.model, self.optimizer, batch)
            self.steps += 1

    def look(self):
        hits = score(self.model, self.valid, self.rows)
        hit = hits[0] / max(hits[2], 1)
        if hit > self.best[0]:
            self.best, self.worse = (hit, self.steps, copy.deepcopy(self.model.state_dict())), 0
        else:
            self.worse += 1


def go_through(model, choice, parts, eagerness):
    """Scores part after part, and learns each once it was scored."""
    optimizer = torch.optim.Adam(model.parameters(), lr=choice[1] * eagerness)
    hits, dice = np.zeros(3, np.int64), np.random.default_rng(7)
    for windows in parts:
        if len(windows) > 0:
            hits += score(model, windows)
            for batch in windows.batches(dice) if eagerness > 0 else ():
                learn(model, optimizer, batch)
    return hits


def split(events, low, high, parts):
    edges = np.linspace(low, high, parts + 1).astype(int)
    return [events.windows(begin, end) for begin, end in zip(edges[:-1], edges[1:])]


def train(make, choice, windows, steps, seconds, seed):
    """A fresh model on all of the past; over the last third its steps get smaller."""
    torch.manual_seed(seed)
    model, dice = make(choice[0]), np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=choice[1])
    begun, step, done = time.process_time(), 0, 0.0
    while done < 1.0:
        for batch in windows.batches(dice):
            spent = time.process_time() - begun
            done = max(step / steps, spent / seconds)
            if done >= 1.0:
                break
            optimizer.param_groups[0]["lr"] = choice[1] * min(1.0, 0.1 + 2.7 * (1.0 - done))
            learn(model, optimizer, batch)
            step += 1
    return model, step, time.process_time() - begun


@torch.inference_mode()
def cpu_us_per_forecast(model, events, low):
    """The median for one forecast at a time, from an item to the three likeliest next ones."""
    model.eval()
    times, state = [], None
    for start, end in events.bounds:
        if events.order[end - 1] < low:
            continue
        state = None
        for at in range(start, end):
            begin = max(start, at + 1 - WINDOW)
            begun = time.thread_time_ns()
            items = torch.from_numpy(events.item[begin : at + 1])[None]
            pauses = torch.from_numpy(events.pause[begin : at + 1])[None]
            best, state = model.step(items, pauses, state)
            best.tolist()
            times.append((time.thread_time_ns() - begun) / 1e3)
        if len(times) > TIMED:
            break
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True)
    parser.add_argument("--cut", type=int, required=True)
    parser.add_argument("--until", type=int, required=True)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)

    def tell(text):
        print(f"    {asked.model}: {text}", file=sys.stderr, flush=True)

    events = Events(asked.events, asked.until)
    held = int(asked.cut * (1.0 - VALIDATION_SHARE))
    early, valid, past = events.windows(0, held), events.windows(held, asked.cut), events.windows(0, asked.cut)
    often = events.often(held)

    def make(width):
        return start(MODELS[asked.model](events.items_n, width), often)

    trials = []
    for choice in GRID[asked.model]:
        trial = Trial(make, choice, early, valid, asked.seed)
        trial.go_on(asked.seconds * 0.06)
        tell(f"width {choice[0]}, rate {choice[1]}: hit@1 {trial.best[0]:.4f} held out, {trial.steps} steps")
        trials.append(trial)
    best = max(trials, key=lambda trial: trial.best[0])
    best.go_on(asked.seconds * 0.26)
    tell(f"width {best.choice[0]} goes on: hit@1 {best.best[0]:.4f} held out after {best.best[1]} steps")
    parts = split(events, held, asked.cut, 5)
    tries = []
    for eagerness in EAGERNESS:
        model = make(best.choice[0])
        model.load_state_dict(best.best[2])
        tries.append((int(go_through(model, best.choice, parts, eagerness)[0]), eagerness))
    eagerness = max(tries)[1]
    steps = max(round(best.best[1] * len(past) / len(early)), 1)
    model, steps, train_s = train(make, best.choice, past, steps, asked.seconds * 0.5, asked.seed)
    tell(f"learned all of the past: {steps} steps, {train_s:.0f} s of CPU, goes on at {eagerness} of the rate")
    us = cpu_us_per_forecast(model, events, asked.cut)
    hits = go_through(model, best.choice, split(events, asked.cut, asked.until, PARTS), eagerness)
    chosen = {"width": best.choice[0], "rate": best.choice[1], "eagerness": eagerness}
    tell(f"hit@1 {hits[0] / max(hits[2], 1):.4f}, hit@3 {hits[1] / max(hits[2], 1):.4f}, {us:.0f} us a forecast")
    epochs = steps * BATCH / max(len(past), 1)
    result = {"hit1": hits[0] / max(hits[2], 1), "hit3": hits[1] / max(hits[2], 1), "scored": int(hits[2])}
    result.update(cpu_us_per_forecast=us, train_s=train_s, epochs=epochs, **chosen)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
