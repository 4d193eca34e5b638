"""The sandbox's own signing key, and RS256 for the tokens signed with it or with anybody's."""

import base64
import binascii
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

from millstream.sandbox.gmail.errors import OAuthRefusal

KEY_ID: Final = "sandbox-key-1"


class SigningKey:
    """An RSA key made when first needed; it stands for every service account of the sandbox."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def private_pem(self) -> str:
        """The key as a service account file holds it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @cached_property
    def public_pem(self) -> str:
        """The key as the verifier needs it."""
        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, claims: bytes) -> str:
        """A JWT over these claims (a JSON document as bytes)."""
        head = orjson.dumps({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"})
        signed = b".".join((_encode(head), _encode(claims)))
        return b".".join((signed, _encode(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())))).decode()


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT taken apart; nothing is verified yet."""

    claims: dict[str, Any]
    key_id: str
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, text: str) -> "Assertion":
        """Take a JWT apart; raises `OAuthRefusal` in the token endpoint's words."""
        try:
            head, claims, signature = text.encode("ascii").split(b".")
            header = orjson.loads(_decode(head))
            document = orjson.loads(_decode(claims))
            raw_signature = _decode(signature)
        except (ValueError, binascii.Error):
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: Failed to parse.") from None
        if not isinstance(header, dict) or not isinstance(document, dict) or header.get("alg") != "RS256":
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: RS256 is required.")
        return cls(document, str(header.get("kid", "")), head + b"." + claims, raw_signature)

    def verify(self, pem: str) -> None:
        """Check the signature against a public key or certificate; raises `OAuthRefusal`."""
        try:
            _public_key(pem).verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT Signature.") from None


def _public_key(pem: str) -> rsa.RSAPublicKey:
    certificate = "BEGIN CERTIFICATE" in pem
    content = pem.encode()
    key: object = (
        load_pem_x509_certificate(content).public_key() if certificate else serialization.load_pem_public_key(content)
    )
    if not isinstance(key, rsa.RSAPublicKey):
        raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: the registered key is no RSA key.")
    return key


def _encode(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
