"""How thoroughly hypothesis searches: `usual`, or as HYPOTHESIS_PROFILE says.

`long` is for a night: the other keeps the whole run short enough that people wait for it.
"""

import os

from hypothesis import HealthCheck, settings

# No deadline: a first example that starts the database takes longer than the rest, which is no fault.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("usual", _COMMON, max_examples=50)
settings.register_profile("long", _COMMON, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "usual")
