"""Layers (optional content: ISO 32000-1 section 8.11): what is shown of them is to be the same in each reader, and in print.

Readers differ in what they make of a layer's usage (section 8.11.4.4) and intent; a state by zoom, language or print shows one thing to
the signer and another to whoever prints it. Only states that all readers see alike are let through, and only they are kept.
"""

from typing import Any, Final

import pikepdf

from infrastructure.pdf_child.limits import Unusable

#: What of a configuration says which layers are shown.
_STATES: Final = frozenset(("/BaseState", "/ON", "/OFF"))

#: What a layer's usage tells of when it is shown, with the entry for it.
_USES: Final = {"/View": "/ViewState", "/Print": "/PrintState", "/Export": "/ExportState"}

#: Uses that depend on who looks, and how.
_BY_READER: Final = frozenset(("/Zoom", "/Language", "/User"))


def settle_layers(document: pikepdf.Pdf) -> None:
    """Takes away all that could show another layer; raises Unusable where readers show different ones now."""
    properties = document.Root.get("/OCProperties")
    shown = properties.get("/D") if isinstance(properties, pikepdf.Dictionary) else None
    shown = shown if isinstance(shown, pikepdf.Dictionary) else pikepdf.Dictionary()
    by_reader = {str(use) for rule in shown.get("/AS", ()) for use in rule.get("/Category", ())} & _BY_READER
    if shown.get("/BaseState", pikepdf.Name.ON) not in (pikepdf.Name.ON, pikepdf.Name.OFF) or not _is_to_view(shown):
        raise Unusable("unclear-layers")
    on, off = ({each.objgen for each in shown.get(name, ())} for name in ("/ON", "/OFF"))
    base = shown.get("/BaseState") != pikepdf.Name.OFF
    for layer in document.objects:
        if isinstance(layer, pikepdf.Dictionary) and layer.get("/Type") == pikepdf.Name.OCG:
            _settle(layer, layer.objgen not in off and (base or layer.objgen in on), by_reader)
    if isinstance(properties, pikepdf.Dictionary):
        for name in set(shown.keys()) - _STATES:
            del shown[name]
        if "/Configs" in properties:
            del properties["/Configs"]


def _settle(layer: pikepdf.Dictionary, on: bool, by_reader: set[str]) -> None:
    usage: Any = layer.get("/Usage", {})
    states = [usage[use].get(state) for use, state in _USES.items() if use in usage]
    other = pikepdf.Name.OFF if on else pikepdf.Name.ON
    if other in states or by_reader & set(usage.keys()) or not (on or _is_to_view(layer)):
        raise Unusable("unclear-layers")
    if usage:
        del layer["/Usage"]


def _is_to_view(thing: pikepdf.Dictionary) -> bool:
    intent: Any = thing.get("/Intent", pikepdf.Name.View)
    return pikepdf.Name.View in (list(intent) if isinstance(intent, pikepdf.Array) else [intent])
