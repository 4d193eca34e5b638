"""The HTTP side of OAuth: the token endpoint, the consent page, signJwt and a metadata server."""

from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from aiohttp import web

from millstream.sandbox.gmail.errors import OAuthRefusal, Refusal
from millstream.sandbox.gmail.faults import Kind, Point
from millstream.sandbox.gmail.front import Front, refused, reply
from millstream.sandbox.gmail.keys import KEY_ID, SigningKey
from millstream.sandbox.gmail.oauth import Consent, OAuth
from millstream.sandbox.gmail.strikes import Cut, cut, pause, spoil, strike
from millstream.sandbox.gmail.tokens import short_scopes

TOKEN_METHOD = "oauth.token"  # noqa: S105  a name for fault rules
DEFAULT_ACCOUNT = "sandbox@millstream-sandbox.iam.gserviceaccount.com"
_FOUND = 302
_CERTS_KEPT = "public, max-age=20000, must-revalidate, no-transform"


class TokenPages:
    """Serves everything of OAuth."""

    def __init__(self, oauth: OAuth, front: Front, google_key: SigningKey) -> None:
        self._oauth = oauth
        self._google_key = google_key
        self._front = front

    def routes(self) -> list[web.AbstractRouteDef]:
        """Google's paths, current and older."""
        return [
            web.post("/token", self.token),
            web.post("/oauth2/v4/token", self.token),
            web.post("/revoke", self.revoke),
            web.get("/o/oauth2/v2/auth", self.ask),
            web.get("/o/oauth2/auth", self.ask),
            web.post("/o/oauth2/v2/auth", self.decide),
            web.post("/o/oauth2/auth", self.decide),
            web.post("/v1/projects/-/serviceAccounts/{email:[^:]+}:signJwt", self.sign_jwt),
            web.get("/oauth2/v1/certs", self.certificates),
            web.get("/oauth2/v3/certs", self.key_set),
            web.get("/computeMetadata/v1/instance/service-accounts/{name}/{what:.*}", self.metadata),
        ]

    async def token(self, request: web.Request) -> web.StreamResponse:
        """The token endpoint."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        room = self._front.room
        address = self._oauth.mailbox_of(form)
        try:
            self._spoil(Point.BEFORE, address)
            answer = self._oauth.grant(form, str(request.url.with_query(None)))
            odd = strike(room, Point.ODD, TOKEN_METHOD, address)
            if odd is not None and odd.kind is Kind.SLOW:
                await pause(odd.delay, self._front.stopping)
            self._spoil(Point.AFTER, address)
        except OAuthRefusal as refusal:
            room.quota.of(address).refusals[f"{refusal.code} {refusal.error}"] += 1
            return web.json_response(refusal.body(), status=refusal.code)
        except Refusal as refusal:
            room.quota.note_refusal(address, refusal)
            return refused(request, refusal)
        except Cut as event:
            return await cut(request, event, self._front.stopping)
        room.quota.of(address).calls[TOKEN_METHOD] += 1
        return reply(orjson.dumps(answer))

    def _spoil(self, point: Point, address: str) -> None:
        rule = strike(self._front.room, point, TOKEN_METHOD, address)
        if rule is not None and rule.kind is Kind.INVALID_GRANT:
            raise OAuthRefusal(400, "invalid_grant", "Token has been expired or revoked.")
        spoil(self._front.room, rule, TOKEN_METHOD, address)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Take a token back."""
        token = request.query.get("token") or str((await request.post()).get("token", ""))
        if self._oauth.revoke(token):
            return web.json_response({})
        refusal = OAuthRefusal(400, "invalid_token", "Token expired or revoked")
        return web.json_response(refusal.body(), status=refusal.code)

    async def certificates(self, _request: web.Request) -> web.StreamResponse:
        """The certificates of Google's keys by their id: with these a push token is checked."""
        return web.json_response(
            {self._google_key.key_id: self._google_key.certificate_pem}, headers={"Cache-Control": _CERTS_KEPT}
        )

    async def key_set(self, _request: web.Request) -> web.StreamResponse:
        """The same as a JSON Web Key set."""
        return web.json_response({"keys": [self._google_key.jwk()]}, headers={"Cache-Control": _CERTS_KEPT})

    # Consent

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The consent page: which mailbox, which scopes, allow or cancel."""
        asked = dict(request.query)
        problem = _problem(asked)
        if problem:
            return web.Response(status=400, text=problem)
        mailboxes = [account.address for account in self._front.room.world.mailboxes() if account.is_local]
        return web.Response(text=_consent_page(asked, mailboxes), content_type="text/html")

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """What the person said on the consent page: back to the client with a code, or with access_denied."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        problem = _problem(form)
        if problem:
            return web.Response(status=400, text=problem)
        answer = {"state": form["state"]} if form.get("state") else {}
        account = self._front.room.world.account(form.get("mailbox", ""))
        if form.get("decision") != "allow" or account is None:
            return _back(form["redirect_uri"], answer | {"error": "access_denied"})
        consent = Consent(
            account.address,
            form.get("client_id", ""),
            short_scopes(form.get("scope", "")),
            form["redirect_uri"],
            form.get("code_challenge", ""),
            form.get("code_challenge_method", ""),
        )
        return _back(
            form["redirect_uri"], answer | {"code": self._oauth.consent(consent), "scope": form.get("scope", "")}
        )

    # Keyless

    async def sign_jwt(self, request: web.Request) -> web.StreamResponse:
        """IAM Credentials: sign claims as a service account, for callers with a token of their own."""
        try:
            self._front.tokens.check(request.headers.get("Authorization"))
            document = orjson.loads(await request.read())
            claims = str(document["payload"]).encode()
            orjson.loads(claims)
        except Refusal as refusal:
            return refused(request, refusal)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return refused(request, Refusal(400, "badRequest", "Request contains an invalid argument."))
        return web.json_response({"keyId": KEY_ID, "signedJwt": self._oauth.key.sign(claims)})

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        """What the metadata server of a Google machine says about its service account."""
        if request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403, text="Missing Metadata-Flavor:Google header.")
        flavour = {"Metadata-Flavor": "Google"}
        what = request.match_info["what"].rstrip("/")
        if what == "token":
            tokens = self._front.tokens
            scopes = short_scopes(request.query.get("scopes", "").replace(",", " ")) | {"cloud-platform"}
            answer: dict[str, Any] = {
                "access_token": tokens.give(DEFAULT_ACCOUNT, scopes, caller=DEFAULT_ACCOUNT),
                "expires_in": self._front.room.world.config.token_seconds - 1,
                "token_type": "Bearer",
            }
            return web.json_response(answer, headers=flavour)
        if what == "email":
            return web.Response(text=DEFAULT_ACCOUNT, headers=flavour)
        about = {"aliases": ["default"], "email": DEFAULT_ACCOUNT, "scopes": ["cloud-platform"]}
        return web.json_response(about, headers=flavour)


def _problem(asked: dict[str, str]) -> str | None:
    url = urlsplit(asked.get("redirect_uri", ""))
    if url.scheme not in ("http", "https") or not url.netloc:
        return "Error 400: redirect_uri_mismatch. Give an http or https address in redirect_uri."
    if asked.get("response_type", "code") != "code":
        return "Error 400: unsupported_response_type. Only response_type=code is known here."
    if not asked.get("scope"):
        return "Error 400: invalid_request. Missing required parameter: scope."
    return None


def _back(redirect_uri: str, answer: dict[str, str]) -> web.Response:
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return web.Response(status=_FOUND, headers={"Location": f"{redirect_uri}{joint}{urlencode(answer)}"})


def _consent_page(asked: dict[str, str], mailboxes: list[str]) -> str:
    hint = asked.get("login_hint", "")
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in asked.items()
    )
    options = "".join(
        f"<option{' selected' if address == hint else ''}>{escape(address)}</option>" for address in mailboxes
    )
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in asked["scope"].split())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in to the Gmail sandbox</title>'
        f"<h1>Gmail sandbox</h1><p>{escape(asked.get('client_id') or 'An app')} wants to</p><ul>{wanted}</ul>"
        f'<form method="post">{hidden}<p><label>Mailbox <select name="mailbox">{options}</select></label></p>'
        '<button name="decision" value="allow">Allow</button> '
        '<button name="decision" value="cancel">Cancel</button></form></html>'
    )
