"""What people write today: google-api-python-client, threads, messages.send by media upload, no ledger.

It gets its letters ready-made, so that it is measured sending and nothing else. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import httplib2
import orjson
from googleapiclient.discovery import build_from_document
from googleapiclient.http import MediaInMemoryUpload

from driver import read_driver
from millstream.mime import Attachment, Letter, Mailbox, build

_PERSON = Mailbox("Example Bank", "statements-01@bank.example")


def letters(driver: Path) -> list[bytes]:
    """The same messages that Millstream makes of the driver."""
    made = []
    for record, pdf in read_driver(driver):
        recipient, key = record["recipient"], str(record["key"])
        assert isinstance(recipient, dict)
        letter = Letter(
            sender=_PERSON,
            recipient=Mailbox(recipient["name"], recipient["address"]),
            subject=str(record["subject"]),
            text=str(record["text"]),
            date=datetime.now(UTC),
            delivery_token=key.replace("/", "-"),
            attachments=(Attachment("Statement October 2025.pdf", "application/pdf", pdf),),
            reply_to=_PERSON,
            stream="notice",
            locale="en-GB",
        )
        made.append(build(letter))
    return made


def main() -> None:
    """Send everything, and tell how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint")
    parser.add_argument("driver", type=Path)
    parser.add_argument("--threads", type=int, default=32)
    wish = parser.parse_args()
    text = files("googleapiclient").joinpath("discovery_cache/documents/gmail.v1.json").read_text("utf-8")
    document = orjson.loads(text) | {"rootUrl": wish.endpoint + "/", "baseUrl": wish.endpoint + "/"}
    service = build_from_document(document, http=httplib2.Http())
    messages = service.users().messages()
    own = threading.local()

    def send(raw: bytes) -> None:
        if not hasattr(own, "http"):
            own.http = httplib2.Http()
        media = MediaInMemoryUpload(raw, mimetype="message/rfc822")
        messages.send(userId="me", media_body=media).execute(http=own.http, num_retries=0)

    made = letters(wish.driver)
    with ThreadPoolExecutor(wish.threads) as threads:
        began, cpu_began = time.perf_counter(), time.process_time()
        for _ in threads.map(send, made):
            pass
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    print(orjson.dumps({"messages": len(made), "seconds": seconds, "cpu_seconds": cpu}).decode())


if __name__ == "__main__":
    main()
