"""What each provider sends: one table a module, grouped by how a request is proven."""

from . import macs, timed, tokens

PROVIDERS = sorted([*macs.TABLE, *timed.TABLE, *tokens.TABLE], key=lambda found: found.name)
