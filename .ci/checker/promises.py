"""All checks of a lake, in an order in which each may rely on those before it."""
import chain
import logs
import records
import tables
from lake import Lake


def violations(request):
    """Checks one lake. Returns the violations."""
    lake = Lake(request)
    for check in (chain, records, tables, logs):
        check.check(lake)
    return lake.violations
