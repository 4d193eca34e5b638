"""The relay's certificate: an authority of the sandbox's own, made at its start, and what it signs."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Certificate = Literal["good", "expired", "other_name", "unknown_ca"]
"""What the relay shows: one for localhost, one whose time is over, another host's, one of an authority nobody has."""

_NAMES: Final = ("localhost", "smtp-relay.gmail.com")
_OTHER_NAME: Final = "mail.example"
_DAYS: Final = 90


class Authority:
    """Signs the relay's certificates. Its keys are made when first needed."""

    def __init__(self, name: str = "Millstream sandbox authority") -> None:
        self._called = name

    @cached_property
    def _own(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(self._called)
        uses = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            _builder(name, name, key, _DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(uses, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return key, made

    @property
    def pem(self) -> bytes:
        """The authority's certificate: who has it trusts the relay."""
        return self._own[1].public_bytes(serialization.Encoding.PEM)

    def context(self, certificate: Certificate) -> ssl.SSLContext:
        """A server's context with such a certificate."""
        signer = Authority("Somebody's authority") if certificate == "unknown_ca" else self
        names = (_OTHER_NAME,) if certificate == "other_name" else _NAMES
        pem = signer._issue(names, days=-1 if certificate == "expired" else _DAYS - 1)  # noqa: SLF001  one of this class
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            # The ssl module reads keys from files alone.
            path = Path(folder) / "relay.pem"
            path.touch(mode=0o600)
            path.write_bytes(pem)
            context.load_cert_chain(path)
        return context

    def _issue(self, names: tuple[str, ...], *, days: int) -> bytes:
        signer, signed = self._own
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if names == _NAMES:
            alternatives.append(x509.IPAddress(ip_address("127.0.0.1")))
        made = (
            _builder(_name(names[0]), signed.subject, key, days)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + made.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2 * _DAYS))
        .not_valid_after(now + timedelta(days=days))
    )
