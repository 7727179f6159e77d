"""Every client with every server, over every transport and in every hub protocol.

Each cell of this matrix is one test. The run prints a table of all cells at its end. The official
clients are also tested with ASP.NET Core's hub, so that the same assertions hold for the original.
"""

from collections.abc import Iterator

import pytest

from tests.interop.matrix.cells import Cell, all_cells
from tests.interop.matrix.run import MatrixRun

pytestmark = pytest.mark.timeout(600)  # the first cell waits for all builds


@pytest.fixture(scope="module")
def matrix_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MatrixRun]:
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    params = (spec.params for spec in callspecs if spec is not None)
    wanted = [given["cell"] for given in params if isinstance(given.get("cell"), Cell)]
    run = MatrixRun(wanted, tmp_path_factory.mktemp("matrix"))
    yield run
    run.end()


@pytest.mark.parametrize("cell", list(all_cells()), ids=str)
def test_cell(matrix_run: MatrixRun, cell: Cell) -> None:
    matrix_run.outcome(cell)


def test_the_gateway_has_noticed_the_end_of_every_client(matrix_run: MatrixRun) -> None:
    """Whether they said good-bye, were cut off or thrown out."""
    matrix_run.farewell()
