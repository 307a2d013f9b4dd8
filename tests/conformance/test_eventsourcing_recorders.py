"""The `eventsourcing` library's own recorder suites, run against our recorder on PostgreSQL.

Run as they ship: ApplicationRecorderTestCase with its optional subscription case, and
NonInterleavingNotificationIDsBaseCase. AggregateRecorderTestCase asserts that `insert_events` answers
None, as the library's recorders without a notification log do, while an application recorder
answers notification ids and is asserted to in the suite above; so for that suite alone the answer is
dropped, and everything else it checks runs on the same recorder.

ProcessRecorderTestCase and TrackingRecorderTestCase do not apply: the recorder tracks no other
application's positions; our followers keep theirs in read.positions.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, StoredEvent
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.recorder import Recorder
from tests.conftest import ORIGIN


class WithoutIds(AggregateRecorder):
    """The recorder, answering None like a recorder without a notification log."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        self._recorder.insert_events(stored_events, **kwargs)

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[StoredEvent]:
        return self._recorder.select_events(originator_id, **kwargs)


class OnPostgres:
    """Makes a recorder on a fresh database for each case."""

    recorder: Recorder

    @pytest.fixture(autouse=True)
    def _with_recorder(self, database: DatabaseUrls) -> Iterator[None]:
        self.recorder = Recorder(database.service, ORIGIN, async_pool(database.service))
        self.recorder.start()
        yield
        self.recorder.close()


class TestApplicationRecorder(OnPostgres, ApplicationRecorderTestCase[ApplicationRecorder]):
    def create_recorder(self) -> Recorder:
        return self.recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIDs(OnPostgres, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> Recorder:
        return self.recorder


class TestAggregateRecorder(OnPostgres, AggregateRecorderTestCase):
    def create_recorder(self) -> WithoutIds:
        return WithoutIds(self.recorder)


# The abstract suites, imported above, are not cases themselves.
del AggregateRecorderTestCase, ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase
