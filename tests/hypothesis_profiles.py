"""How thoroughly hypothesis searches: `dev` on a developer's machine, `ci` where CI is set, or as HYPOTHESIS_PROFILE says.

`long` is for a night: the others keep the whole run short enough that people wait for it.
"""

import os

from hypothesis import HealthCheck, settings

# No deadline: a first example that starts the database takes longer than the rest, which is no fault.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _COMMON, max_examples=50)
settings.register_profile("ci", _COMMON, max_examples=80)
settings.register_profile("long", _COMMON, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
