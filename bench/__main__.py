"""Measure Millstream: `python bench [throughput|ceiling|scale|composition|intake.…|mailbox.… …]`, all if none is named.

One JSON line for each measurement on standard output, progress on standard error. Everything runs on loopback, in
folders and processes of its own, and ends by itself. Linux only: processor time and memory come from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import uvloop

import ceiling
import classify
import intake_folder
import intake_http
import intake_smtp
import next_step
import reading
import relay_ceiling
import review
import review_answer
import review_corpus
import scale
import throughput
from process import BenchFailed, started
from stage import emit, say, work_folder

_COMPOSITION = Path(__file__).with_name("composition.py")
_COMPOSITION_SECONDS = 300.0


async def _composition() -> None:
    """In a process of its own, whose memory and processor time are the composer's alone."""
    async with work_folder() as folder, started("composition", [str(_COMPOSITION)], folder) as child:
        emit(await child.answer(within=_COMPOSITION_SECONDS))


def _measurements(wish: argparse.Namespace) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
    plan = throughput.Plan(
        messages=wish.messages, latencies_ms=wish.latency_ms, modes=wish.mode or throughput.Plan().modes, runs=wish.runs
    )
    return {
        "throughput": lambda: throughput.measure(plan),
        "ceiling": lambda: ceiling.measure(ceiling.Plan()),
        "relay.ceiling": lambda: relay_ceiling.measure(relay_ceiling.Plan(period=wish.relay_period)),
        "scale": lambda: scale.measure(scale.Plan(communications=wish.communications)),
        "composition": _composition,
        "intake.folder": lambda: intake_folder.measure(
            intake_folder.Plan(customers=wish.customers, distinct=wish.distinct_pdfs)
        ),
        "intake.http": lambda: intake_http.measure(intake_http.Plan()),
        "intake.smtp": lambda: intake_smtp.measure(intake_smtp.Plan()),
        "mailbox.classify": lambda: classify.measure(classify.Plan()),
        "mailbox.first_sync": lambda: reading.first_sync(reading.Plan(letters=wish.letters)),
        "mailbox.push": lambda: reading.push(reading.Plan()),
        "mailbox.idle": lambda: reading.idle(reading.Plan()),
        "review.corpus": lambda: review_corpus.measure(review_corpus.Plan()),
        "exstream.next_step": lambda: next_step.measure(next_step.Plan()),
        "review.sweep": lambda: review.sweep(review.Plan()),
        "review.answer": lambda: review_answer.measure(review_answer.Plan()),
    }


async def _run(wish: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # the processes are stopped and the folders removed on the way out
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    known = _measurements(wish)
    for name in wish.names or known:
        say(f"{name} …")
        await known[name]()


def main() -> None:
    """Measure what was asked for."""
    usual = throughput.Plan()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="throughput, ceiling, scale, composition, intake.{folder,http,smtp}, "
        "mailbox.{classify,first_sync,push,idle}, exstream.next_step, "
        "review.{corpus,sweep,answer}, relay.ceiling",
    )
    parser.add_argument("--runs", type=int, default=usual.runs, help="runs of throughput; the median counts")
    parser.add_argument("--messages", type=int, default=usual.messages, help="messages in a run of throughput")
    parser.add_argument("--latency-ms", type=int, nargs="+", default=usual.latencies_ms, help="of the sink")
    parser.add_argument("--mode", nargs="+", choices=usual.modes, help="of throughput")
    parser.add_argument("--communications", type=int, default=scale.Plan().communications, help="in scale")
    parser.add_argument("--customers", type=int, default=intake_folder.Plan().customers, help="in intake.folder")
    parser.add_argument("--distinct-pdfs", action="store_true", help="in intake.folder; else hard links to a hundred")
    parser.add_argument("--letters", type=int, default=reading.Plan().letters, help="in mailbox.first_sync")
    parser.add_argument("--relay-period", default=relay_ceiling.Plan().period, help="the limit in relay.ceiling")
    wish = parser.parse_args()
    unknown = set(wish.names) - _measurements(wish).keys()
    if unknown:
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}")
    try:
        uvloop.run(_run(wish))
    except BenchFailed as error:
        sys.exit(f"error: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
