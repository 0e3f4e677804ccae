"""The receiver of the storms believes no signature but its own secret's, and notes only what it took."""

import hashlib
import hmac
import json

from tests.faults.receiver import Receiver


def _body(result_id: str) -> bytes:
    return json.dumps({"data": {"id": result_id}}).encode()


def _signed(secret: str, body: bytes) -> str:
    return f"t=1,v1={hmac.new(secret.encode(), b'1.' + body, hashlib.sha256).hexdigest()}"


def test_what_is_not_signed_is_counted_and_not_noted() -> None:
    receiver = Receiver("alice", "secret")
    body = _body("r1")

    answers = [receiver.take(said, body) for said in ("", "nonsense", _signed("other", body), _signed("secret", b""))]

    assert answers == [400] * 4
    assert (receiver.unsigned, receiver.told) == (4, set())


def test_what_is_refused_is_not_noted_until_it_comes_again() -> None:
    receiver = Receiver("alice", "secret")
    bodies = [_body(f"r{number}") for number in range(10)]

    answers = [receiver.take(_signed("secret", body), body) for body in bodies]

    assert answers == [204] * 9 + [503]
    assert receiver.told == {f"r{number}" for number in range(9)}
    assert receiver.take(_signed("secret", bodies[9]), bodies[9]) == 204
    assert "r9" in receiver.told
    assert receiver.unsigned == 0
