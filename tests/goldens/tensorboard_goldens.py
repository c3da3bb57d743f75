#!/usr/bin/env python3
"""Makes tests/data/train/tensorboard/events.bin: the records that lab writes, made by the tensorboard package's own protocol
buffers and record writer, and read back by its loader. With files as arguments prints what it reads in those instead.

Run: python tests/goldens/tensorboard_goldens.py   (tensorboard 2.21.0)
"""
import pathlib
import sys

import tensorboard
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "train" / "tensorboard"
EVENTS = [(1, [("train/loss", 2.5)]), (300, [("train/loss", 0.125), ("heldout/a b", -1e-3)])]


def scalars(path):
    """(step, tag, value) of every scalar; the loader checks both checksums of each record."""
    for raw in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(raw)
        for value in event.summary.value:
            yield event.step, value.tag, value.simple_value


def field_order(step, **fields):
    # wall_time and step are written also where they are 0, in the order of their numbers, as lab does.
    out = b"\x09" + bytes(8) + Event(step=step).SerializeToString() if step else b"\x09" + bytes(8) + b"\x10\x00"
    return out + Event(**fields).SerializeToString()


def main():
    if len(sys.argv) > 1:
        for path in sys.argv[1:]:
            for step, tag, value in scalars(path):
                print(step, tag, f"{value:.6g}")
        return
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "events.bin", "wb") as f:
        writer = RecordWriter(f)
        writer.write(field_order(0, file_version="brain.Event:2"))
        for step, values in EVENTS:
            summary = Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values])
            writer.write(field_order(step, summary=summary))
        writer.close()
    read = list(scalars(OUT / "events.bin"))
    assert [(s, t) for s, t, _ in read] == [(s, t) for s, vs in EVENTS for t, _ in vs], read
    print("tensorboard", tensorboard.__version__, read)


if __name__ == "__main__":
    main()
