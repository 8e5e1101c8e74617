# SPDX-License-Identifier: Apache-2.0
"""Internal tokens as only the operator can make them, and as others try to: for the tests, which can read its key."""
import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import tempfile
import time

AUDIENCES = ("agent", "ledger", "operator")
# RFC 8410: what stands before the 32 bytes of an Ed25519 private key in DER.
PRIVATE_KEY_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
DAY_S = 86400


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Key:
    """An Ed25519 private key, of 32 bytes."""

    def __init__(self, private):
        self.private = private

    def sign(self, message):
        with tempfile.TemporaryDirectory() as folder:
            key, data = pathlib.Path(folder, "key"), pathlib.Path(folder, "data")
            key.write_bytes(PRIVATE_KEY_PREFIX + self.private)
            data.write_bytes(message)
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-keyform", "DER", "-in", data],
                                  capture_output=True, check=True).stdout


class Mint:
    """The key of a release, and tokens of it."""

    def __init__(self, secret):
        data = {name: base64.b64decode(text).decode().strip() for name, text in secret["data"].items()}
        self.key = Key(bytes.fromhex(data["token.key"]))
        self.public = data["token.pub"]

    def claims(self, audience, issued_ago_s=10, lasts_s=DAY_S, **more):
        issued = int(time.time()) - issued_ago_s
        return {"iss": "spate", "aud": audience, "sub": "gateway/spate-gateway-0", "iat": issued, "exp": issued + lasts_s} | more

    def token(self, claims, header=None, sign=None):
        text = ".".join(encode(json.dumps(part, separators=(",", ":")).encode())
                        for part in (header or {"alg": "EdDSA", "typ": "JWT"}, claims))
        return f"{text}.{encode((sign or self.key.sign)(text.encode()))}"

    def good(self, audience):
        return self.token(self.claims(audience))

    def forged(self, audience):
        """By what is wrong with it."""
        claims = self.claims(audience)
        others = [name for name in AUDIENCES if name != audience]
        hs256 = {"alg": "HS256", "typ": "JWT"}

        def mac(secret):
            return lambda text: hmac.new(secret, text, hashlib.sha256).digest()

        head, body, signature = self.good(audience).split(".")
        tokens = {
            "expired": self.token(self.claims(audience, issued_ago_s=2 * DAY_S)),
            "not valid yet": self.token(self.claims(audience, issued_ago_s=-3600)),
            "another key": self.token(claims, sign=Key(bytes(range(32))).sign),
            "alg none, no signature": self.token(claims, {"alg": "none", "typ": "JWT"}, lambda _: b""),
            "alg none, a signature": self.token(claims, {"alg": "none", "typ": "JWT"}),
            "HMAC with the public key's bytes": self.token(claims, hs256, mac(bytes.fromhex(self.public))),
            "HMAC with the public key's text": self.token(claims, hs256, mac(self.public.encode())),
            "a key of its own in the header": self.token(claims, {"alg": "EdDSA", "typ": "JWT", "jwk": {"kty": "OKP", "x": "AA"}},
                                                         Key(bytes(range(32))).sign),
            "no signature": f"{head}.{body}.",
            "two parts": f"{head}.{body}",
            "another subject under that signature": f"{head}.{encode(json.dumps(claims | {'sub': 'gateway/x'}).encode())}.{signature}",
            "no time of ending": self.token({name: value for name, value in claims.items() if name != "exp"}),
            "another issuer": self.token(claims | {"iss": "kubernetes/serviceaccount"}),
            "a list of audiences": self.token(claims | {"aud": [audience]}),
            "no token": "nonsense",
        }
        return tokens | {f"for the {other}": self.good(other) for other in others}
