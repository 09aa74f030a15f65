"""Damages corpora, models and what else the package reads, and sees what comes of it.

An input is a damaged copy of an original. It is read in a process of its own on all paths there are, and what is read
is compared with what was written. Refused or right is well; a wrong value without an error, an end by a signal, no end,
and an error that does not say what to do are finds: their inputs are kept, and the exit status is 1. An input follows
from its kind, the seed and its number.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import sys
import time

# First, as it says where the package is.
from places import ROOT

import corpora
import interchange
import models
import streams
from mutators import OF_BYTES
from originals import Originals
from trial import FINDS, OUTCOMES, attempt

KINDS = {
    "shards": corpora.Shards, "indexes": corpora.Indexes, "caches": corpora.Caches, "manifests": corpora.Manifests,
    "models": models.Models, "lmdb": interchange.LMDB, "recipes": interchange.Recipes, "streams": streams.Streams,
}  # fmt: skip


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="Scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  Scripts/fuzz --seconds 600\n"
        "  Scripts/fuzz shards indexes caches models --ways flip --count 250\n"
        "  Scripts/fuzz shards --seed 3 --first 71 --count 1     # a single input again",
    )  # fmt: skip
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--count", type=int, help="inputs of each kind (default: 100, or as many as --seconds allow)")
    parser.add_argument("--seconds", type=float, help="begins no input after so many")
    parser.add_argument("--ways", help=f"only these ways of damaging bytes, of {', '.join(OF_BYTES)}")
    parser.add_argument(
        "--place", type=pathlib.Path, default=ROOT / ".build" / "fuzz", help="where originals and finds are kept"
    )
    options = parser.parse_args(arguments)
    options.kinds = options.kinds or list(KINDS)
    options.ways = options.ways.split(",") if options.ways else list(OF_BYTES)
    for given, known in [(options.kinds, KINDS), (options.ways, OF_BYTES)]:
        for name in given:
            if name not in known:
                parser.error(f"{name} is none of {', '.join(known)}")
    if options.count is None:
        options.count = sys.maxsize if options.seconds else 100
    return options


def try_input(kind, name, seed, number, place):
    """Makes an input, reads it, and returns what it was and what was seen."""
    drawn, (what, is_edit, told) = make_input(kind, name, seed, number, place)
    return what, attempt(lambda record: kind.read(record, place, drawn, told), is_edit)


def make_input(kind, name, seed, number, place):
    """Makes an input in a place; returns what draws the rest, and what `Kind.make` does."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    drawn = random.Random(f"{name} {seed} {number}")
    return drawn, kind.make(drawn, place)


def main(arguments):
    options = parse(arguments)
    originals = Originals(options.place)
    kinds = {name: KINDS[name](originals, options.ways) for name in options.kinds}
    for kind in kinds.values():
        kind.prepare()
    counts = {name: collections.Counter() for name in kinds}
    began = time.monotonic()
    place = options.place / f"input-{os.getpid()}"
    try:
        for name, number in inputs(options, began):
            what, record = try_input(kinds[name], name, options.seed, number, place)
            outcome = record.outcome()
            counts[name][outcome] += 1
            if outcome in FINDS:
                kept = options.place / "finds" / f"{name}-{options.seed}-{number}"
                report(options, name, number, what, record, kept)
                # As it was before it was read.
                make_input(kinds[name], name, options.seed, number, kept)
    except KeyboardInterrupt:
        print("stopped")
    shutil.rmtree(place, ignore_errors=True)
    summarize(counts, time.monotonic() - began, options.seed)
    return 1 if any(count[outcome] for count in counts.values() for outcome in FINDS) else 0


def inputs(options, began):
    """The kinds and numbers to try, as long as there is time."""
    for number in range(options.first, options.first + options.count):
        for name in options.kinds:
            if options.seconds and time.monotonic() - began > options.seconds:
                return
            yield name, number


def report(options, name, number, what, record, kept):
    ways = f" --ways {','.join(options.ways)}" if len(options.ways) < len(OF_BYTES) else ""
    print(f"{record.outcome()}: {what}")
    for outcome in FINDS:
        for place in record.seen.get(outcome, []):
            print(f"    {outcome}: {place}")
    print(
        f"    again: Scripts/fuzz {name} --seed {options.seed}{ways} --first {number} --count 1; kept: {kept}",
        flush=True,
    )


def summarize(counts, seconds, seed):
    """What came of how many inputs, a line for each kind."""
    everything = sum(counts.values(), collections.Counter())
    seen = [outcome for outcome in OUTCOMES if everything[outcome]]
    for name, count in [*counts.items(), ("all", everything)]:
        if len(counts) > 1 or name != "all":
            outcomes = ", ".join(f"{count[outcome]} {outcome}" for outcome in seen)
            print(f"{name:<10}{sum(count.values()):>7} inputs: {outcomes}")
    finds = sum(everything[outcome] for outcome in FINDS)
    print(f"fuzz: {finds} finds in {sum(everything.values())} inputs, seed {seed}, {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
