"""The address of a proxy: what is one, and that its password is never shown."""

from typing import Any

import pytest

from xmppsh.config.proxy import Proxy
from xmppsh.errors import UsageError


@pytest.mark.parametrize(("url", "expected"), [
    ("socks5h://127.0.0.1:9050", ("socks5h", "127.0.0.1", 9050, None, None)),
    ("SOCKS5H://[::1]:9050/", ("socks5h", "::1", 9050, None, None)),
    ("http://proxy.example:3128", ("http", "proxy.example", 3128, None, None)),
    ("http://u:p@w@proxy.example:3128", ("http", "proxy.example", 3128, "u", "p@w")),
    ("http://u%3A:@proxy.example:3128", ("http", "proxy.example", 3128, "u:", "")),
])  # fmt: skip
def test_the_address_of_a_proxy_is_read(url: str, expected: tuple[Any, ...]) -> None:
    proxy = Proxy.parse(url)
    assert (proxy.scheme, proxy.host, proxy.port, proxy.user, proxy.password) == expected


@pytest.mark.parametrize("url", [
    "", "proxy.example:3128", "socks5://127.0.0.1:9050", "socks4://127.0.0.1:9050", "https://proxy.example:3128",
    "http://proxy.example", "http://proxy.example:0", "http://proxy.example:99999", "http://proxy.example:x",
    "http://:3128", "http://[::1:3128", "http://u@proxy.example:3128", "http://:secret@proxy.example:3128",
    "http://proxy.example:3128/path", "http://u:secret@proxy.example:3128?x", "http://u:secret@proxy.example",
    "http://u:secret@a b:1", "http://u:secret\u2100@127.0.0.1:1", "socks5h://u:" + 256 * "secret" + "@127.0.0.1:9050",
])  # fmt: skip
def test_what_is_no_proxy_is_a_usage_error_that_shows_no_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Proxy.parse(url)
    assert str(caught.value).startswith("--proxy: ")
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_proxy_is_shown_without_its_secrets() -> None:
    proxy = Proxy.parse(f"http://u:{'secret'}@[2001:db8::1]:3128")
    assert str(proxy) == "http://[2001:db8::1]:3128"
    assert "secret" not in repr(proxy)
