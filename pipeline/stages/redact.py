"""Secrets in bodies -> a text that says what was there.

A rule costs little where nothing matches (matching.py).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.logconfig.patterns import compiled
from pipeline.logconfig.spec import Redact
from pipeline.stages.matching import touched

# Formats: AWS IAM identifiers; Alibaba Cloud AccessKey (LTAI…); Tencent Cloud SecretId (AKID…);
# Google API keys; GitHub token formats; Slack tokens; RFC 7468 for private keys; Azure Storage
# connection strings. RFC 7519 for JWT: base64url of `{"` is eyJ. ISO/IEC 7812-1 for cards.
_KEYS = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bLTAI[0-9A-Za-z]{12,26}\b",
    r"\bAKID[0-9A-Za-z]{32}\b",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\bgh[pousr]_[0-9A-Za-z]{36,}\b",
    r"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    r"AccountKey=[0-9A-Za-z+/]{80,}={0,2}",
    r"""(?i:secret|access)[_-]?(?i:access)?[_-]?(?i:key)(?:_?(?i:secret))?["']?\s*[:=]\s*"""
    r"""["']?[0-9A-Za-z/+]{28,}={0,2}""",
)
_JWT = r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"
_CARD = r"\b[3-6](?:[ -]?[0-9]){11,18}\b"
_EMAIL = r"[0-9A-Za-z._%+-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*\.[A-Za-z]{2,}"
_PRESETS = {"cloud-keys": "|".join(_KEYS), "jwt": _JWT, "cards": _CARD, "email": _EMAIL}


@dataclass(frozen=True, slots=True)
class Rule:
    """What is replaced by what."""

    name: str
    pattern: Any
    replace: Callable[[Any], bytes] | bytes


class Redactor:
    """Rules, in order. Keeps nothing."""

    def __init__(self, wish: Redact) -> None:
        self.rules = [_preset(name) for name in wish.presets]
        for secret in wish.patterns:
            text = secret.replacement
            replace = _named(secret.name) if text is None else text.encode()
            self.rules.append(Rule(secret.name, compiled(secret.pattern), replace))

    def apply(self, bodies: Sequence[bytes], counts: Counter[str]) -> list[bytes]:
        """The bodies without secrets; `counts` gets the replacements per rule."""
        done = list(bodies)
        for rule in self.rules:
            for at in touched(rule.pattern, done):
                body, count = rule.pattern.subn(rule.replace, done[at])
                if count and body != done[at]:
                    done[at] = body
                    counts[rule.name] += count
        return done


def _preset(name: str) -> Rule:
    replace = _card if name == "cards" else _named(name)
    return Rule(name, compiled(_PRESETS[name]), replace)


def _named(name: str) -> Callable[[Any], bytes]:
    """No template: a backslash in a name is nothing but that."""
    text = f"[redacted:{name}]".encode()
    return lambda _: text


def _card(match: Any) -> bytes:
    """Only numbers whose last digit is right: ids and times look like cards as well."""
    text: bytes = match.group()
    digits = [octet - 48 for octet in text if 48 <= octet <= 57]
    return b"[redacted:cards]" if luhn(digits) else text


def luhn(digits: Sequence[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (2 * d - 9 if d > 4 else 2 * d for d in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
