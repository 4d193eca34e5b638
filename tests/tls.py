"""Certificates for servers of tests: a good one, an expired one, another name's, one of an authority nobody knows."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; `pem` is what clients are given to trust it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str = "localhost", *, days: float = 30.0) -> bytes:
        """Key and certificate of a server, as one PEM; negative days have passed already."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + timedelta(days=days)
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = (
            _named(name, self.certificate.subject, key, until)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + made.public_bytes(serialization.Encoding.PEM)


@cache
def authority() -> Authority:
    """The one that tests trust."""
    return new_authority()


def new_authority() -> Authority:
    """Another one, which nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of tests")])
    until = datetime.now(UTC) + timedelta(days=60)
    certificate = (
        _named("Authority of tests", name, key, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def server_context(folder: Path, pem: bytes) -> ssl.SSLContext:
    """A server's context with this key and certificate."""
    file = folder / f"server-{len(list(folder.glob('server-*')))}.pem"
    file.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _named(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=90))
        .not_valid_after(until)
    )
