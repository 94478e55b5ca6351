"""Tests: they mirror the rooms. A regular package, so that no other `tests` on the path can take its name."""

import pytest

# Before anything imports it: what its assertions compare is then shown as in the tests themselves.
pytest.register_assert_rewrite("tests.support")
