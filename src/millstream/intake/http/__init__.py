"""The door for HTTP: what an Exstream HTTP(S) output connector calls."""

from millstream.intake.http.door import Answer, HttpDoor
from millstream.intake.http.errors import Away, Interrupted, Refused
from millstream.intake.http.options import FactNames, HttpOptions
from millstream.intake.http.parameters import Head

__all__ = ["Answer", "Away", "FactNames", "Head", "HttpDoor", "HttpOptions", "Interrupted", "Refused"]
