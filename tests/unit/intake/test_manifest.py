"""Manifests are read in any nesting, at flat memory, and what they name is found."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.intake.customer import OutputFile
from millstream.intake.errors import Unfit, Unreadable
from millstream.intake.folder.manifest import Report, read_manifest, read_reports
from millstream.intake.folder.placing import Placing


@pytest.fixture
def read(tmp_path):
    def find(text: str):
        path = tmp_path / "_STDDELIVERYFILE.xml"
        path.write_text(text, encoding="utf-8")
        return list(read_manifest(path))

    return find


@pytest.mark.parametrize(
    "files",
    [
        '<queue name="Print"><file name="p/1"/></queue>',
        '<documents><document queue="Print" path="p/1"/></documents>',
        '<output queueName="Print" dataFile="p/1"/>',
        '<e:outputQueue xmlns:e="urn:x" name="Print"><e:any><e:part e:name="p/1"/></e:any></e:outputQueue>',
        '<Queues><Queue Name="Print"><File>p/1</File></Queue></Queues>',
    ],
)
def test_a_file_is_found_with_its_queue_in_any_nesting(read, files):
    [found] = read(f'<outputList><customer number="7"><key name="CustomerId">C-1</key>{files}</customer></outputList>')
    assert found.files == (OutputFile("p/1", "Print"),)
    assert found.number == 7
    assert found.facts["CustomerId"] == "C-1"


def test_everything_else_is_a_fact(read):
    [found] = read(
        '<o><customer id="x"><key name="A">1</key><metadata name="B" value="2"/><C>3</C>'
        '<recipient address="a@example.com" name="Ada"/><key name="Empty"/></customer></o>'
    )
    assert found.facts == {
        "id": "x",
        "A": "1",
        "B": "2",
        "C": "3",
        "recipient.address": "a@example.com",
        "recipient.name": "Ada",
        "Empty": "",
    }


def test_the_first_value_of_a_key_stays(read):
    [found] = read('<o><customer><key name="A">1</key><key name="A">2</key></customer></o>')
    assert found.facts == {"A": "1"}


def test_customers_are_numbered_as_they_come_and_carry_their_line(read):
    first, second = read('<o>\n<customer><key name="A">1</key></customer>\n<customer number="x"/>\n</o>')
    assert (first.number, first.line, second.number, second.line) == (1, 2, 2, 3)


def test_a_media_type_and_a_name_beside_a_file_are_kept(read):
    [found] = read('<o><customer><file path="p" mimeType="text/html" displayName="a.html"/></customer></o>')
    assert found.files == (OutputFile("p", "", "a.html", "text/html"),)


def test_reports_are_told_apart_from_outputs(tmp_path):
    path = tmp_path / "m.xml"
    path.write_text('<o>\n<reportFile dataFile="Error_Report" name="r/e.txt"/><customer number="1"/></o>', "utf-8")
    assert read_reports(path) == [Report("Error_Report", "r/e.txt", 2)]
    assert len(list(read_manifest(path))) == 1


def test_a_customer_without_an_end_is_bounded(read):
    with pytest.raises(Unreadable, match="line 1: a customer has more facts") as caught:
        read("<o><customer>" + "".join(f'<a x="{number}"/><k{number}>v</k{number}>' for number in range(2_000)))
    assert caught.value.line == 1
    with pytest.raises(Unreadable, match="more than 1,000 files"):
        read("<o><customer>" + '<file path="x"/>' * 2_000)


def test_what_came_before_the_fault_is_read(tmp_path):
    path = tmp_path / "m.xml"
    path.write_bytes(b"<o>" + b"<customer><key name='a'>1</key></customer>\n" * 10_000 + b"<customer>")
    customers = read_manifest(path)
    assert len(list(itertools.islice(customers, 10_000))) == 10_000
    with pytest.raises(Unreadable, match="ends in the middle"):
        next(customers)


def test_a_manifest_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(Unreadable, match="cannot read"):
        list(read_manifest(tmp_path / "none.xml"))


_MEASURED = """
import resource, sys
from pathlib import Path
from millstream.intake.errors import Unreadable
from millstream.intake.folder.manifest import read_manifest
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(sum(1 for _ in read_manifest(Path(sys.argv[1]))))
except Unreadable as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(path: Path) -> tuple[str, int]:
    """What a process of its own says of a manifest, and by how many MB it grew."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    said, grown = done.stdout.splitlines()
    return said, int(grown)


def test_a_hundred_megabytes_are_read_at_flat_memory(tmp_path):
    path = tmp_path / "m.xml"
    one = b'<customer number="1"><key name="CustomerId">C1</key><x y="z">' + b"x" * 10_000 + b"</x></customer>\n"
    with path.open("wb") as file:
        file.write(b"<outputList>\n")
        for _ in range(100):
            file.write(one * 100)
        file.write(b"</outputList>\n")
    assert path.stat().st_size > 100_000_000
    said, grown = measured(path)
    assert said == "10000"
    assert grown < 20


def test_a_hundred_megabytes_in_one_attribute_are_refused_at_flat_memory(tmp_path):
    path = tmp_path / "m.xml"
    with path.open("wb") as file:
        file.write(b'<o>\n<customer id="')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'"/></o>')
    said, grown = measured(path)
    assert "line 2: a tag of more than 1,048,576 bytes" in said
    assert grown < 30


def test_a_path_is_placed_below_its_manifest_and_never_above(tmp_path):
    placing = Placing.of(tmp_path, "DEV/jobs/1/output", ("/mnt/engine/",))
    assert placing.place("html/1") == "DEV/jobs/1/output/html/1"
    assert placing.place("./html//../print/1") == "DEV/jobs/1/output/print/1"
    assert placing.place("print\\1.pdf") == "DEV/jobs/1/output/print/1.pdf"
    assert placing.place("/mnt/engine/DEV/jobs/1/output/x") == "DEV/jobs/1/output/x"
    assert placing.place(f"{tmp_path}/DEV/y") == "DEV/y"
    for path in ("../x", "a/../../x", "/etc/passwd", "/mnt/engine/../x", "/mnt/enginex/y"):
        found = placing.place(path)
        assert isinstance(found, Unfit)
        assert found.reason == "bad_content"
