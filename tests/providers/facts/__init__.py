"""What each provider sends: one table a module, grouped by how a request is proven."""

from . import macs, timed

PROVIDERS = sorted([*macs.TABLE, *timed.TABLE], key=lambda found: found.name)
