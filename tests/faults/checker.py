"""The promises, checked on what clients did and what is there after healing. Pure: knows no broker, store, database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.identity import result_id
from tests.faults.history import Grant, History, Outcome, Post, Upload

TOKENS_PER_PAGE = 50
_NEVER = frozenset({400, 401, 402, 403, 404, 410, 413, 415, 500})
"""No fault of a part makes one of these the right answer to a valid POST for an object that is there."""


@dataclass(frozen=True, order=True)
class Violation:
    """A promise that was broken: which, and by what."""

    promise: str
    subject: str
    detail: str


@dataclass(frozen=True)
class Result:
    """A terminal result as a read_committed consumer saw it."""

    result_id: str
    completed: bool
    tokens: int


@dataclass(frozen=True)
class Debit:
    """An entry of usage in the ledger; tokens are positive."""

    usage_id: str
    result_id: str
    user_id: str
    tokens: int


@dataclass
class Observed:
    """What is there at the end."""

    bucket: str
    stored: Mapping[str, str] = field(default_factory=dict)
    """Etags by key."""
    results: Sequence[Result] = ()
    usage_ids: Sequence[str] = ()
    debits: Sequence[Debit] = ()
    grants: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """User and amount by idempotency key."""
    balances: Mapping[str, int] = field(default_factory=dict)
    told_balances: Sequence[Mapping[str, int]] = ()
    """Balances by user, as each replica of the API tells them."""
    unread: Mapping[str, int] = field(default_factory=dict)
    """Records that wait, by consumer group."""
    told: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Ids of results that receivers of webhooks took, by user who has one."""
    to_be_told: Collection[str] = ()
    """Ids of results whose delivery was tried, and whose next attempt lies ahead."""
    unsigned: int = 0
    """Requests that receivers found no signature of their secret on."""
    audit_findings: Sequence[str] = ()


def check(history: History, observed: Observed) -> list[Violation]:
    """Every promise that was broken, sorted; empty when all were kept."""
    checks = (
        _check_uploads,
        _check_once,
        _check_charges,
        _check_posts,
        _check_grants,
        _check_balances,
        _check_told,
        _check_rest,
    )
    return sorted({violation for each in checks for violation in each(history, observed)})


def owed(history: History, observed: Observed) -> dict[str, Upload]:
    """The uploads that must have a result, by result id: those stored, and not overwritten."""
    return {
        _identity(observed, upload): upload
        for upload in history.uploads
        if upload.outcome is not Outcome.FAILED and observed.stored.get(upload.key) == upload.etag
    }


def _identity(observed: Observed, upload: Upload) -> str:
    return result_id(observed.bucket, upload.key, upload.etag)


def _price(upload: Upload) -> int:
    return TOKENS_PER_PAGE + upload.words if upload.readable else 0


def _check_uploads(history: History, observed: Observed) -> Iterator[Violation]:
    results = {result.result_id: result for result in observed.results}
    kept = owed(history, observed)
    for identity, upload in kept.items():
        found = results.get(identity)
        if found is None:
            yield Violation("every upload has a result", identity, f"{upload.key} has none")
        elif found.completed != upload.readable:
            yield Violation("results say what was uploaded", identity, f"{upload.key}: completed={found.completed}")
    known = {_identity(observed, upload): upload for upload in history.uploads}
    for result in observed.results:
        source = known.get(result.result_id)
        if source is None:
            yield Violation("results are of uploads", result.result_id, "nothing like it was uploaded")
        elif result.completed and result.tokens != _price(source):
            yield Violation("results say what was uploaded", result.result_id, f"{result.tokens} tokens")
    for upload in history.uploads:
        if upload.outcome is Outcome.OK and upload.key not in observed.stored:
            yield Violation("an acknowledged upload is stored", upload.key, "it is gone")


def _check_once(_history: History, observed: Observed) -> Iterator[Violation]:
    for identity, count in Counter(result.result_id for result in observed.results).items():
        if count > 1:
            yield Violation("no result is seen twice", identity, f"{count} times")
    for usage_id, count in Counter(observed.usage_ids).items():
        if count > 1:
            yield Violation("no usage is seen twice", usage_id, f"{count} times")


def _check_charges(_history: History, observed: Observed) -> Iterator[Violation]:
    charges: dict[str, list[int]] = defaultdict(list)
    for debit in observed.debits:
        charges[debit.result_id].append(debit.tokens)
    for result in observed.results:
        expected = [result.tokens] if result.completed else [0]
        if charges[result.result_id] != expected:
            detail = f"charged {charges[result.result_id]}, not {expected}"
            yield Violation("a result is charged once", result.result_id, detail)
    for identity in charges.keys() - {result.result_id for result in observed.results}:
        if charges[identity]:
            yield Violation("a charge has a result", identity, f"charged {charges[identity]}")


def _check_posts(history: History, observed: Observed) -> Iterator[Violation]:
    contents: dict[str, list[Upload]] = defaultdict(list)
    for upload in history.uploads:
        contents[upload.key].append(upload)
    for post in history.posts:
        yield from _check_post(post, contents[post.key], observed)


def _check_post(post: Post, contents: list[Upload], observed: Observed) -> Iterator[Violation]:
    if post.status in _NEVER:
        yield Violation("a fault is told as one", post.key, f"answered {post.status} {post.body}")
    if post.status == 422 and all(upload.readable for upload in contents):
        yield Violation("a fault is told as one", post.key, f"answered {post.status} {post.body}")
    if post.status != 200:
        return
    own = {_identity(observed, upload): upload for upload in contents}
    upload = own.get(str(post.body.get("id")))
    if upload is None or post.body.get("key") != post.key:
        yield Violation("a POST is answered with its own result", post.key, f"answered {post.body}")
        return
    text = " ".join(f"word{number + 1}" for number in range(upload.words))
    if (post.body.get("text"), post.body.get("tokensUsed")) != (text, _price(upload)):
        yield Violation("a POST is answered with its own result", post.key, f"answered {post.body}")


def _check_grants(history: History, observed: Observed) -> Iterator[Violation]:
    made: dict[str, Grant] = {grant.key: grant for grant in history.grants}
    for key, grant in made.items():
        stands = observed.grants.get(key)
        if stands is None and grant.outcome is Outcome.OK:
            yield Violation("an acknowledged grant stands", key, "it is gone")
        elif stands is not None and stands != (grant.user_id, grant.amount):
            yield Violation("an acknowledged grant stands", key, f"it is {stands}")


def _check_balances(_history: History, observed: Observed) -> Iterator[Violation]:
    expected: Counter[str] = Counter()
    for user_id, amount in observed.grants.values():
        expected[user_id] += amount
    for debit in observed.debits:
        expected[debit.user_id] -= debit.tokens
    for where, balances in [("ledger", observed.balances), *(("API", told) for told in observed.told_balances)]:
        for user_id in expected.keys() | balances.keys():
            if balances.get(user_id, 0) != expected[user_id]:
                detail = f"{where}: {balances.get(user_id)}, not {expected[user_id]}"
                yield Violation("a balance is the sum of entries", user_id, detail)


def _check_told(history: History, observed: Observed) -> Iterator[Violation]:
    owner = {_identity(observed, upload): upload.user_id for upload in history.uploads}
    for user_id, told in observed.told.items():
        own = {result.result_id for result in observed.results if owner.get(result.result_id) == user_id}
        for identity in own - set(told) - set(observed.to_be_told):
            yield Violation(
                "a webhook is told of every result", identity, f"{user_id} was not told, and no attempt lies ahead"
            )
        for identity in set(told) - own:
            yield Violation("a webhook is told of its user's results alone", identity, f"{user_id} was told of it")
    if observed.unsigned:
        yield Violation("what a webhook is told is signed", "receiver", f"{observed.unsigned} requests were not")


def _check_rest(_history: History, observed: Observed) -> Iterator[Violation]:
    for group, count in observed.unread.items():
        if count:
            yield Violation("nothing is stuck", group, f"{count} records wait")
    for finding in observed.audit_findings:
        yield Violation("the audit finds nothing", "ledger", finding)
