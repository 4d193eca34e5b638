"""An order for a recovery drill is understood, or refused with the points there are."""

import signal
import subprocess
import sys

import pytest

from millstream.delivery.options import Point
from millstream.drill import Drill, UnknownDrill
from millstream.mailbox.options import Point as LookPoint

ROOMS = {"delivery": Point, "mailbox": LookPoint}


_PROGRAM = """
import sys
from millstream.delivery.options import Point
from millstream.drill import Drill

drill = Drill(sys.argv[1] or None, Point)
for number in range(5):
    drill.passes(Point.IN_SETTLE)
    drill.passes(Point.BEFORE_DRAFT)
    sys.stdout.write(str(number))
    sys.stdout.flush()
"""


@pytest.mark.parametrize(
    ("order", "code", "passed"),
    [
        ("", 0, "01234"),
        ("before_draft", -signal.SIGKILL, ""),
        ("before_draft:3", -signal.SIGKILL, "01"),
        ("before_draft:6", 0, "01234"),
        ("in_settle:2", -signal.SIGKILL, "0"),
    ],
)
def test_the_process_dies_when_it_passes_the_point_for_the_nth_time(order, code, passed):
    done = subprocess.run([sys.executable, "-c", _PROGRAM, order], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, passed)


@pytest.mark.parametrize("points", ROOMS.values(), ids=ROOMS)
@pytest.mark.parametrize("order", ["", "nowhere:1", "{}:0", "{}:-1", "{}:x", "{}:1:2", ":1"])
def test_an_order_that_names_no_point_and_number_is_refused_with_the_points(order, points):
    first = next(iter(points))
    with pytest.raises(UnknownDrill, match=f"points are {first}, "):
        Drill(order.format(first), points)
