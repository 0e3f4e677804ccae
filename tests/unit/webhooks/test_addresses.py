"""Where a webhook may point, and where it may not."""

import pytest

from services.webhook_registry.addresses import AddressPolicy, ForbiddenAddress, PrivateAddress, resolve

PUBLIC = "93.184.215.14"


def check(url: str, *addresses: str, allowed: str = "") -> None:
    AddressPolicy.of(allowed).check_url(url, lambda _host, _port: addresses or (PUBLIC,))


@pytest.mark.parametrize("url", ["https://example.com/hook", "https://example.com:8443/h?a=b", "https://EXAMPLE.com"])
def test_public_addresses_over_https_are_fine(url: str) -> None:
    check(url, PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
        "0.1.2.3", "100.127.255.255", "192.0.0.9", "192.88.99.1", "198.51.100.1", "203.0.113.1", "232.1.2.3",
        "fec0::1", "feff::1", "fe00::1", "febf::1", "ff0e::1", "100::1", "3fff::1", "4000::1", "5f00::1", "2001:2::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::", "2002:a00:1::", "2002:c0a8:101::1", "2001:0:a00:1::", "2001::f5ff:fffe",
    ],
)  # fmt: skip
def test_no_private_address_in_whatever_writing_is(address: str) -> None:
    with pytest.raises(ForbiddenAddress, match="not a public address"):
        check("https://example.com/", address)


@pytest.mark.parametrize(
    ("url", "address", "says"),
    [
        ("https://10.0.0.1/", "10.0.0.1", "10.0.0.1 is not a public address"),
        ("https://[::1]/", "::1", "::1 is not a public address"),
        ("https://in.side/", "10.0.0.1", "the host in.side is at 10.0.0.1, which is not a public address"),
    ],
)
def test_an_address_is_said_once(url: str, address: str, says: str) -> None:
    with pytest.raises(PrivateAddress) as raised:
        check(url, address)
    assert str(raised.value) == says


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(ForbiddenAddress):
        check("https://example.com/", PUBLIC, "10.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0x7f.1", "2130706433", "127.1", "0177.0.0.1"])
def test_this_machine_is_recognised_however_it_is_named(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        AddressPolicy().check_url(f"https://{host}/hook", resolve)


@pytest.mark.parametrize(
    "url",
    [
        "", "https://", "example.com/hook", "ftp://example.com/", "javascript:alert(1)",
        "https://user:pass@example.com/", "https://example.com/#a", "https://example.com:99999/", "https://[::1/",
        "https://exa mple.com/", "https://example.com/\r\nX: y", "https://b\u00fccher.de/",
        "https://example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check(url)


def test_plain_http_goes_to_allowed_networks_alone() -> None:
    with pytest.raises(ForbiddenAddress, match="https"):
        check("http://example.com/")
    check("http://10.1.2.3/", "10.1.2.3", allowed="10.0.0.0/8")


def test_an_allowed_network_allows_no_other() -> None:
    check("https://inside/", "10.1.2.3", allowed="192.168.0.0/16, 10.0.0.0/8")
    with pytest.raises(ForbiddenAddress):
        check("https://inside/", "127.0.0.1", allowed="10.0.0.0/8")


@pytest.mark.parametrize("host", ["a..example.com", ".example.com", "a" * 64 + ".example.com", "a.." * 100])
def test_a_malformed_host_name_is_an_unknown_host(host: str) -> None:
    with pytest.raises(ForbiddenAddress, match="unknown"):
        AddressPolicy().check_url(f"https://{host}/hook")


def test_an_unknown_host_is_refused() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(ForbiddenAddress, match="unknown"):
        AddressPolicy().check_url("https://nowhere.example/", unknown)
    with pytest.raises(ForbiddenAddress, match="no address"):
        AddressPolicy().check_url("https://nowhere.example/", lambda *_: [])
