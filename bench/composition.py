"""How fast statements are composed: one core, then two threads, over real customers.

Prints one JSON line. `per_second_core` counts statements per second of processor time in one thread;
`per_second_two_threads` counts them by the clock, so other work on the machine lowers it.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from millstream.composer import Composer
from millstream.demo import data_file, driver_records, read_customers

WARM_UP = 6


def main() -> None:
    """Compose every n-th customer's statement, so that short and long ones come in their real shares."""
    parser = argparse.ArgumentParser(description="Statements composed per second.")
    parser.add_argument("--statements", type=int, default=200)
    wanted = parser.parse_args().statements
    customers = read_customers(data_file())
    records = list(driver_records(customers[:: max(1, len(customers) // wanted)], wanted))
    composer = Composer()

    def compose(record: dict[str, Any]) -> int:
        return len(composer.compose_document(record["template"], record["data"], record["locale"]))

    with ThreadPoolExecutor(2) as two:
        list(two.map(compose, records[:WARM_UP]))
        on_processor, sizes = _timed(lambda: [compose(record) for record in records], time.process_time)
        by_clock, _ = _timed(lambda: list(two.map(compose, records)), time.perf_counter)
    print(
        json.dumps(
            {
                "name": "composition",
                "statements": len(records),
                "per_second_core": round(len(records) / on_processor, 1),
                "per_second_two_threads": round(len(records) / by_clock, 1),
                "mean_bytes": round(statistics.mean(sizes)),
                "load": round(os.getloadavg()[0], 2),
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def _timed(work: Any, clock: Any) -> tuple[float, Sequence[int]]:
    start = clock()
    sizes = work()
    return clock() - start, sizes


if __name__ == "__main__":
    main()
