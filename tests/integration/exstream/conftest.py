"""A server of this test's own that stands for Exstream."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from exstream_server import FakeExstream, served


@pytest.fixture
async def exstream() -> AsyncIterator[FakeExstream]:
    async with served(FakeExstream()) as fake:
        yield fake
