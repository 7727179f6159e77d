"""What all tests share: how Hypothesis searches.

By default its examples are the same in every run and take the time they take; search for new ones
with ``pytest --hypothesis-profile=search``.
"""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=5000)
settings.load_profile("steady")
