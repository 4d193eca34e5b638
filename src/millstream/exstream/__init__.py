"""The only room that speaks Exstream: its tokens, its services, its engine as a web service, and its files."""

from typing import TYPE_CHECKING

from millstream import lazy

if TYPE_CHECKING:
    from millstream.exstream.client import Exstream, Probe
    from millstream.exstream.design import Design
    from millstream.exstream.engine import ControlFile, customer_list, run_date
    from millstream.exstream.errors import Call, Effect, ExstreamError, Fault
    from millstream.exstream.inputs import Inputs
    from millstream.exstream.model import EngineCall, EngineResult
    from millstream.exstream.options import ExstreamOptions, FilterStyle, Paging
    from millstream.exstream.paging import Walked
    from millstream.exstream.placing import place
    from millstream.exstream.runtime import AssociatedJobs, Runtime
    from millstream.exstream.soap import BasicAuth, EngineService, UsernameToken
    from millstream.exstream.tokens import (
        TOKEN_URLS,
        DividedTokens,
        OtdsOptions,
        OtdsTokens,
        StaticTokens,
        TokenSource,
        token_url,
    )
    from millstream.exstream.transport import Fetched
else:
    # Whoever asks for an error or a value only shall not pay for aiohttp: 0.5 s of CPU.
    __getattr__ = lazy.names(
        __name__,
        {
            "TOKEN_URLS": "tokens",
            "AssociatedJobs": "runtime",
            "BasicAuth": "soap",
            "Call": "errors",
            "ControlFile": "engine",
            "Design": "design",
            "DividedTokens": "tokens",
            "Effect": "errors",
            "EngineCall": "model",
            "EngineResult": "model",
            "EngineService": "soap",
            "Exstream": "client",
            "ExstreamError": "errors",
            "ExstreamOptions": "options",
            "Fault": "errors",
            "Fetched": "transport",
            "FilterStyle": "options",
            "Inputs": "inputs",
            "OtdsOptions": "tokens",
            "OtdsTokens": "tokens",
            "Paging": "options",
            "Probe": "client",
            "Runtime": "runtime",
            "StaticTokens": "tokens",
            "TokenSource": "tokens",
            "UsernameToken": "soap",
            "Walked": "paging",
            "customer_list": "engine",
            "place": "placing",
            "run_date": "engine",
            "token_url": "tokens",
        },
    )

__all__ = [
    "TOKEN_URLS",
    "AssociatedJobs",
    "BasicAuth",
    "Call",
    "ControlFile",
    "Design",
    "DividedTokens",
    "Effect",
    "EngineCall",
    "EngineResult",
    "EngineService",
    "Exstream",
    "ExstreamError",
    "ExstreamOptions",
    "Fault",
    "Fetched",
    "FilterStyle",
    "Inputs",
    "OtdsOptions",
    "OtdsTokens",
    "Paging",
    "Probe",
    "Runtime",
    "StaticTokens",
    "TokenSource",
    "UsernameToken",
    "Walked",
    "customer_list",
    "place",
    "run_date",
    "token_url",
]
