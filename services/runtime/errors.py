"""Three outcomes of a failure, as types.

`schemas.cloudevents.Undecodable` is the first: the record goes to the dead letters. `TransientError` is the
second: the work is tried again. Anything else is the third: the worker stops and is started anew.
"""


class TransientError(Exception):
    """A dependency is away or busy; the same call may well succeed later."""


class StoreUnavailable(TransientError):
    """The object store did not answer, or answered with an error of its own."""


class BucketMissing(StoreUnavailable):
    """The object store answers, and has no such bucket: nothing can be told of what would lie in it."""


class BrokerUnavailable(TransientError):
    """The broker did not take a record in time."""


class Halt(Exception):
    """The worker stops on purpose, because going on would lose or double something; a person has to look."""


class DatabaseUnavailable(TransientError):
    """The database did not answer, refused the connection, gave up on a lock, or ended the session."""
