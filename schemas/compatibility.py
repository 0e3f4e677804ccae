"""Which changes of a schema break somebody, as pure functions over JSON Schemas.

Two readers count: ours of tomorrow, who meet events that were written up to a year ago, and consumers of today, who
meet what we write tomorrow. Within a major version a field may therefore be added if it is optional, a bound may be
loosened, and an enumeration may get a value (which is produced only after all readers know it). Nothing else.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_FIXED = ("pattern", "format", "multipleOf")
_VERSIONED = re.compile(r"(?P<stem>.+)\.v(?P<version>[0-9]+)")


@dataclass(frozen=True)
class BreakingChange:
    """Something that a reader of the other version would stumble over."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def breaking_changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[BreakingChange]:
    """What breaks between two releases, each given as schema name (`ocr.request.v1`) → JSON Schema.

    A schema may go only when its next major version has come.
    """
    changes: list[BreakingChange] = []
    for name in sorted(old):
        if name in new:
            changes += _Comparison(old[name], new[name]).run(name)
        elif _next_major(name) not in new:
            changes.append(BreakingChange(name, "removed without a new major version"))
    return changes


def _next_major(name: str) -> str | None:
    match = _VERSIONED.fullmatch(name)
    return f"{match['stem']}.v{int(match['version']) + 1}" if match else None


class _Comparison:
    """Two schemas with their own `$defs`, walked side by side."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_root = old
        self._new_root = new
        self._seen: set[tuple[int, int]] = set()

    def run(self, name: str) -> list[BreakingChange]:
        return list(self._compare(name, self._old_root, self._new_root))

    def _compare(self, path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        old_kinds = _by_type(old, self._old_root)
        new_kinds = _by_type(new, self._new_root)
        if old_kinds.keys() != new_kinds.keys():
            yield BreakingChange(path, f"type changed from {_names(old_kinds)} to {_names(new_kinds)}")
        for kind in sorted(old_kinds.keys() & new_kinds.keys()):
            yield from self._compare_kind(path, old_kinds[kind], new_kinds[kind])

    def _compare_kind(self, path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        pair = (id(old), id(new))
        if pair in self._seen:  # a type that is used twice, or holds itself
            return
        self._seen.add(pair)
        yield from _compare_values(path, old, new)
        yield from _compare_bounds(path, old, new)
        yield from self._compare_fields(path, old, new)
        yield from self._compare_items(path, old, new)

    def _compare_fields(self, path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for field in sorted(before.keys() - after.keys()):
            yield BreakingChange(f"{path}.{field}", "field removed")
        for field in sorted(needed_after - needed_before):
            what = "field became required" if field in before else "new required field"
            yield BreakingChange(f"{path}.{field}", what)
        for field in sorted((needed_before - needed_after) & after.keys()):
            yield BreakingChange(f"{path}.{field}", "field became optional")
        for field in sorted(before.keys() & after.keys()):
            yield from self._compare(f"{path}.{field}", before[field], after[field])

    def _compare_items(self, path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        if "items" in old and "items" in new:
            yield from self._compare(f"{path}[]", old["items"], new["items"])
        elif "items" in new:
            yield BreakingChange(f"{path}[]", "items restricted")
        before, after = old.get("prefixItems", ()), new.get("prefixItems", ())
        if len(before) != len(after):
            yield BreakingChange(path, f"length changed from {len(before)} to {len(after)}")
        for number, (was, now) in enumerate(zip(before, after, strict=False)):
            yield from self._compare(f"{path}[{number}]", was, now)


def _by_type(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The alternatives of a schema by their JSON type; references are followed."""
    reference = schema.get("$ref")
    if reference is not None:
        target: Any = root
        for step in str(reference).removeprefix("#/").split("/"):
            target = target[step]
        return _by_type(target, root)
    if "anyOf" in schema:
        kinds: dict[str, Schema] = {}
        for alternative in schema["anyOf"]:
            kinds |= _by_type(alternative, root)
        return kinds
    kind = schema.get("type", "any")
    return dict.fromkeys(kind, schema) if isinstance(kind, list) else {str(kind): schema}


def _compare_values(path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
    before, after = _values(old), _values(new)
    if after is None:
        return
    if before is None:
        yield BreakingChange(path, "restricted to certain values")
        return
    gone = [value for value in before if value not in after]
    if gone:
        yield BreakingChange(path, f"no longer allows {', '.join(map(repr, gone))}")


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _compare_bounds(path: str, old: Schema, new: Schema) -> Iterator[BreakingChange]:
    for bound in _LOWER_BOUNDS:
        if bound in new and (bound not in old or new[bound] > old[bound]):
            yield BreakingChange(path, f"{bound} raised to {new[bound]}")
    for bound in _UPPER_BOUNDS:
        if bound in new and (bound not in old or new[bound] < old[bound]):
            yield BreakingChange(path, f"{bound} lowered to {new[bound]}")
    for word in _FIXED:
        if word in new and old.get(word) != new[word]:
            yield BreakingChange(path, f"{word} changed to {new[word]!r}")


def _names(kinds: Mapping[str, Schema]) -> str:
    return " or ".join(sorted(kinds))
