"""Ids of documents that a listing has shown: what is among them need not be looked for in another."""

from bisect import bisect_left

_ID_BYTES = 16
KNOWN_MAX = 4_000_000
"""So many ids are 64 MB."""


class KnownDocuments:
    """A sorted list of UUIDs, 16 bytes each. One that is not in it may be there all the same."""

    def __init__(self, known_max: int = KNOWN_MAX) -> None:
        self._ids = bytearray()
        self._bytes_max = known_max * _ID_BYTES

    def clear(self) -> None:
        """None is known."""
        self._ids.clear()

    def add(self, result_id: str) -> None:
        """Ids come in their order, as a listing has them: of another order some are found, and none falsely."""
        packed = _packed(result_id)
        if packed is not None and len(self._ids) < self._bytes_max:
            self._ids += packed

    def __contains__(self, result_id: str) -> bool:
        packed = _packed(result_id)
        if packed is None:
            return False
        place = bisect_left(self, packed)
        return place < len(self) and self[place] == packed

    def __len__(self) -> int:
        """How many are known."""
        return len(self._ids) // _ID_BYTES

    def __getitem__(self, place: int) -> bytes:
        """For the search."""
        return bytes(self._ids[place * _ID_BYTES : (place + 1) * _ID_BYTES])


def _packed(result_id: str) -> bytes | None:
    """None for what is no id of ours."""
    try:
        packed = bytes.fromhex(result_id.replace("-", ""))
    except ValueError:
        return None
    return packed if len(packed) == _ID_BYTES else None
