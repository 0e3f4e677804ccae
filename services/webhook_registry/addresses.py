"""Where a webhook may point: public addresses, judged at registration and once more for every connection.

Names are judged by the addresses they have at that moment, and the connection then goes to the very address that was
judged: a name that answers differently a moment later gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

URL_CHARACTERS_MAX = 2000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""From host and port to the addresses behind it. Raises OSError."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is given to hosts. Outside are mapped, compatible, translated (NAT64), site-local and other special ones."""
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocol assignments, Teredo
        "2002::/16",  # 6to4, another way to IPv4 addresses
        "3fff::/20",  # documentation
    )
)
"""What not every version of Python takes for special. Source: the IANA registries of special-purpose addresses."""


class ForbiddenAddress(ValueError):
    """A URL or an address that no delivery goes to; its text says why."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the order in which they are to be tried. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # An empty or overlong label is not even looked up.
        raise OSError(f"{host} is no host name") from error
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


class PrivateAddress(ForbiddenAddress):
    """An address that is not public: an operator may allow its network."""


@dataclass(frozen=True)
class AddressPolicy:
    """Public addresses, and those in the networks that were allowed."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def of(cls, allowed_networks: str) -> "AddressPolicy":
        """From networks in CIDR notation, separated by commas."""
        return cls(tuple(ipaddress.ip_network(each.strip()) for each in allowed_networks.split(",") if each.strip()))

    def check_url(self, url: str, resolve: Resolve = resolve) -> None:
        """Judges a URL that somebody wants to register.

        Raises:
            ForbiddenAddress: it is no URL for a webhook, its host is unknown, or one of its addresses is private.
        """
        parts = parse_url(url)
        host, port = parts.hostname or "", port_of(parts)
        try:
            found = resolve(host, port)
        except OSError as error:
            raise ForbiddenAddress(f"the host {host} is unknown") from error
        self.choose(host, found, is_encrypted=parts.scheme == "https")

    def choose(self, host: str, addresses: Iterable[str], *, is_encrypted: bool) -> str:
        """The address to connect to: the first, if every one of them may be reached.

        Raises:
            ForbiddenAddress: one may not, or there is none.
        """
        found = [ipaddress.ip_address(each) for each in addresses]
        for address in found:
            self._check(host, address, is_encrypted=is_encrypted)
        if not found:
            raise ForbiddenAddress(f"the host {host} has no address")
        return str(found[0])

    def _check(self, host: str, address: Address, *, is_encrypted: bool) -> None:
        if any(address in network for network in self.allowed):
            return
        if not _is_public(address):
            if host == str(address):
                raise PrivateAddress(f"{address} is not a public address")
            raise PrivateAddress(f"the host {host} is at {address}, which is not a public address")
        if not is_encrypted:
            raise ForbiddenAddress("plain http is not encrypted: use https")


def parse_url(url: str) -> SplitResult:
    """The parts of a webhook's URL.

    Raises:
        ForbiddenAddress: it is none.
    """
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or any(not character.isprintable() for character in url):
        raise ForbiddenAddress(f"a webhook's URL has at most {URL_CHARACTERS_MAX} printable ASCII characters")
    try:
        parts = urlsplit(url)
        port_of(parts)
    except ValueError as error:
        raise ForbiddenAddress(f"this is not a URL: {error}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or " " in url:
        raise ForbiddenAddress("a webhook's URL is https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenAddress("a webhook's URL holds neither credentials nor a fragment")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of a URL. Raises ValueError for one that is none."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
