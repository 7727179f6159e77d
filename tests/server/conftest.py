"""Every test here runs on a clock that only the test moves, and leaves nothing in the loop."""

from tests.support.loop_fixtures import clock as clock
from tests.support.loop_fixtures import harness as harness
from tests.support.loop_fixtures import serve as serve
