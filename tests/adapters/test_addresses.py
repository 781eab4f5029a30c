from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence

import pytest

from proofreel.adapters.addresses import (
    Destination,
    NameNotResolved,
    UrlRefused,
    find_destination,
    is_public,
    redact_url,
    resolve,
)

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "169.253.255.255",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "2001:4860:4860::8888",
    "2003::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)
NOT_PUBLIC = (
    "0.0.0.0",  # noqa: S104  # nothing is bound to it
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # metadata at Alibaba
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's own
    "169.254.0.1",
    "169.254.169.254",  # metadata at most clouds
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",  # metadata at Oracle
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible, long withdrawn
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata at Amazon
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700:4700::1111%1",
    "",
    "localhost",
    "1.2.3",
    "0x7f000001",
)


class Answers:
    """A resolver that gives the next of its answers each time, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = answers, 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def find(url: str, *addresses: str, allow_private: bool = False) -> Destination:
    answers = Answers(addresses or ("93.184.216.34",))
    return find_destination(url, allow_private=allow_private, timeout_s=5, resolver=answers)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_url_is_taken_apart_once() -> None:
    assert find("https://Hooks.Example.com/a b?x=1#part") == Destination(
        scheme="https",
        host="hooks.example.com",
        port=443,
        authority="hooks.example.com",
        target="/a%20b?x=1",
        addresses=("93.184.216.34",),
    )
    assert find("http://例え.jp").host == "xn--r8jz45g.jp"
    assert find("http://[2606:4700::1]/", "2606:4700::1").authority == "[2606:4700::1]"
    local = find("http://box:8123/hook", "10.0.0.7", allow_private=True)
    assert (local.port, local.authority, local.addresses) == (8123, "box:8123", ("10.0.0.7",))


def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    for addresses in (("93.184.216.34", "127.0.0.1"), ("::1", "93.184.216.34"), ("10.0.0.1",)):
        with pytest.raises(UrlRefused, match="not a public one"):
            find("http://hooks.example.com/", *addresses)


@pytest.mark.parametrize("port", [22, 25, 6379, 8000, 8443])
def test_only_the_ports_of_the_web_are_sent_to(port: int) -> None:
    with pytest.raises(UrlRefused, match="port must be 80 or 443"):
        find(f"http://hooks.example.com:{port}/")
    assert find(f"http://hooks.example.com:{port}/", allow_private=True).port == port


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "http://",
        "http:///path",
        "http://user@hooks.example.com/",
        "http://user:word@hooks.example.com/",
        "http://127.0.0.1%2f@hooks.example.com/",
        "http://hooks.example.com\\@127.0.0.1/",
        "http://hooks example.com/",
        "http://ex%61mple.com/",
        "http://hooks.example.com\r\nX: y/",
        "http://hooks.example.com:0/",
        "http://hooks.example.com:99999/",
        "http://hooks.example.com:http/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://-hooks.example.com/",
    ],
)
def test_urls_that_mean_something_else_are_refused_unresolved(url: str) -> None:
    answers = Answers(("93.184.216.34",))
    with pytest.raises(UrlRefused):
        find_destination(url, allow_private=True, timeout_s=5, resolver=answers)
    assert answers.asked == 0


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "0"],
)
def test_no_spelling_of_this_machine_gets_through_the_real_resolver(host: str) -> None:
    with pytest.raises((UrlRefused, NameNotResolved)):
        find_destination(f"http://{host}/", allow_private=False, timeout_s=30)


def test_the_system_resolver_gives_each_address_once() -> None:
    assert resolve("127.0.0.1", 80) == ("127.0.0.1",)
    assert resolve("::1", 80) == ("::1",)


def test_a_name_without_an_address_is_worth_another_try() -> None:
    def fail(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    for resolver in (fail, Answers(())):
        with pytest.raises(NameNotResolved) as caught:
            find_destination(
                "http://gone.example.com/", allow_private=False, timeout_s=5, resolver=resolver
            )
        assert caught.value.retryable


def test_a_name_too_long_for_the_resolver_is_not_resolved() -> None:
    with pytest.raises((NameNotResolved, UrlRefused)):
        find_destination(f"http://{'a' * 64}.com/", allow_private=False, timeout_s=5)


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        release.wait()
        return ()

    with pytest.raises(NameNotResolved) as caught:
        find_destination(
            "http://slow.example.com/", allow_private=False, timeout_s=0.05, resolver=hang
        )
    release.set()
    assert caught.value.detail == "no answer within 0.05 s"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443/"),
        ("https://hooks.example.com/T0/B0/canary", "https://hooks.example.com/…"),
        ("https://hooks.example.com/?token=canary", "https://hooks.example.com/…"),
        ("https://hooks.example.com/#canary", "https://hooks.example.com/…"),
        ("https://canary:canary@hooks.example.com/", "https://hooks.example.com/"),
        ("canary", "(not a usable URL)"),
        ("http://canary\n/", "(not a usable URL)"),
    ],
)
def test_a_url_in_a_log_shows_no_secret(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("error", [UrlRefused("No."), NameNotResolved("no answer within 5 s")])
def test_errors_survive_pickling(error: UrlRefused | NameNotResolved) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (type(again), str(again), again.detail) == (type(error), str(error), error.detail)
