"""A client of an OpenAI-compatible chat-completions endpoint.

In: settings, and messages. Out: the text of the answer, or in words why there is none. Nothing that an endpoint does
ends a study: it may be down, slow, refuse, or answer nonsense. What it says is untrusted text and is kept as data.

The key is read from an environment variable and sent in one header; it is in no message, log or result. Redirects are
not followed, and where an answer repeats the key, it is blotted out.
"""

import email.utils
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, NamedTuple

from coact.errors import ConfigError

MOST_BYTES = 1 << 20  # of an answer
MOST_CHARACTERS = 20_000  # of its text
READ_BYTES = 1 << 14
LONGEST_PAUSE_S = 60.0  # however long the endpoint asks to wait
TRANSIENT = (408, 409, 429, 500, 502, 503, 504)
REFUSED = (401, 403, 404)
BLOTTED = "[key]"


@dataclass(frozen=True)
class Settings:
    """Which endpoint is asked, and how patiently.

    Attributes:
        url: base URL, such as "http://127.0.0.1:8000/v1"; "/chat/completions" is added.
        model: name of the model there.
        key_variable: environment variable that holds the key; empty: no key is sent.
        timeout_s: longest wait for the connection and for its next bytes, and for the whole answer, seconds.
        retries: further tries after a failure that may pass.
        pause_s: pause before the first further try, twice as long before each one after it, seconds.

    Raises:
        ConfigError: a setting is out of range.
    """

    url: str
    model: str
    key_variable: str = ""
    timeout_s: float = 60.0
    retries: int = 2
    pause_s: float = 1.0

    def __post_init__(self) -> None:
        if not _is_plain_url(self.url):
            raise ConfigError(
                "interpretation.endpoint.url: expected http:// or https:// with a host, without user, password, query"
                " (a key comes from the environment variable that interpretation.endpoint.key_variable names)"
            )
        if not self.model:
            raise ConfigError("interpretation.endpoint.model is empty; expected the name of a model")
        if not self.timeout_s > 0 or self.retries < 0 or self.pause_s < 0:
            raise ConfigError(
                f"interpretation.endpoint: timeout_s {self.timeout_s}, retries {self.retries}, pause_s {self.pause_s};"
                " expected a timeout above 0 and the others at least 0"
            )


def _is_plain_url(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # raises where it is no port
    except ValueError:
        return False
    extras = parts.username or parts.password or parts.query or parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not extras and url.isascii()


class Answer(NamedTuple):
    """The text of an answer, empty where there is none, and "ok" or why there is none."""

    text: str
    status: str
    endpoint_failed: bool = False  # the endpoint itself is out of order, not this answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Other hosts are not sent the key."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def ask(settings: Settings, messages: list[dict[str, str]]) -> Answer:
    """Ask once, and again after failures that may pass (HTTP 408, 409, 429, 5xx, no connection, no answer in time).

    Args:
        settings: the endpoint.
        messages: of the chat, each with role and content.
    """
    key, problem = _read_key(settings)
    if problem:
        return Answer("", problem, True)
    content = {"model": settings.model, "messages": messages, "temperature": 0}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    address = f"{settings.url.rstrip('/')}/chat/completions"
    data = json.dumps(content).encode()
    for attempt in range(settings.retries + 1):
        answer, pause = _try(urllib.request.Request(address, data, headers, method="POST"), settings.timeout_s)
        if pause is None:
            break
        if attempt < settings.retries:
            time.sleep(min(max(pause, settings.pause_s * 2**attempt), LONGEST_PAUSE_S))
        elif settings.retries:
            answer = answer._replace(status=f"{answer.status}, after {settings.retries + 1} tries")
    text = answer.text.replace(key, BLOTTED) if key else answer.text
    return answer._replace(text=text[:MOST_CHARACTERS])


def _read_key(settings: Settings) -> tuple[str, str]:
    """The key, or why there is none."""
    if not settings.key_variable:
        return "", ""
    key = os.environ.get(settings.key_variable, "").strip()
    if not key:
        return "", f"environment variable {settings.key_variable} is not set"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "", f"environment variable {settings.key_variable} holds no key (blanks or control characters within)"
    return key, ""


def _try(request: urllib.request.Request, timeout_s: float) -> tuple[Answer, float | None]:
    """One try: the answer, and the seconds to wait before another, None where another would be of no use."""
    deadline = time.monotonic() + timeout_s
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s) as response:
            body = _read(response, deadline)
    except urllib.error.HTTPError as error:
        with error:
            status = f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip()
            answer = Answer("", status, error.code in TRANSIENT + REFUSED)
            return answer, _retry_after(error.headers) if error.code in TRANSIENT else None
    except TimeoutError:
        return Answer("", f"no answer within {timeout_s:g} s", True), 0.0
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return Answer("", f"no answer within {timeout_s:g} s", True), 0.0
        return Answer("", f"no connection ({type(reason).__name__})", True), 0.0
    if body is None:
        return Answer("", f"answer of more than {MOST_BYTES:,} bytes"), None
    return _text_of(body), None


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes | None:
    """The body of a response; None where it is too long.

    Raises:
        TimeoutError: it was not there in time. The time limit of a socket is for each of its pieces.
    """
    parts, size = [], 0
    while part := response.read1(READ_BYTES):
        size += len(part)
        if size > MOST_BYTES:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _retry_after(headers: Any) -> float:
    """Seconds that a response asks to wait, by number or date; 0 where it does not say."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_PAUSE_S)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _text_of(body: bytes) -> Answer:
    """The text of the first choice in the body of a chat completion."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return Answer("", "answer is not JSON")
    try:
        text = found["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return Answer("", "answer is not a chat completion")
    if not isinstance(text, str) or not text.strip():
        return Answer("", "answer is empty")
    # JSON can spell halves of surrogate pairs, which no file can hold.
    return Answer(text.strip().encode("utf-8", "replace").decode(), "ok")
