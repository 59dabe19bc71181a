"""What each provider sends: one table a module, grouped by how a request is proven."""

from . import constructions, keys, macs, special, timed, tokens, wellknown

PROVIDERS = [
    *sorted([*macs.TABLE, *timed.TABLE, *tokens.TABLE, *keys.TABLE, *special.TABLE, *wellknown.TABLE], key=lambda found: found.name),
    *sorted(constructions.TABLE, key=lambda found: found.name),
]
