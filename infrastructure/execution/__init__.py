"""Execution: a completed envelope becomes signed files.

A follower notes completed envelopes, workers make their files: what stands where (`blocks_of`) is drawn, sealed, stored and
then told to the log. It never touches a signature: an execution that fails is tried again, and told.
"""

from infrastructure.execution.executions import executions
from infrastructure.execution.executor import Executor
from infrastructure.execution.making import Making
from infrastructure.execution.obstacles import NotCompleted
from infrastructure.execution.table import AWAITS_CHECKPOINT, Counts, ExecutionRow, ExecutionStatus, ExecutionTable

__all__ = [
    "AWAITS_CHECKPOINT",
    "Counts",
    "ExecutionRow",
    "ExecutionStatus",
    "ExecutionTable",
    "Executor",
    "Making",
    "NotCompleted",
    "executions",
]
