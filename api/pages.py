"""The documentation pages: one for each surface, drawn from its OpenAPI document.

They are plain HTML without scripts or addresses elsewhere, so they work on a machine without network.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 6rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { margin: .5rem 0; } nav { margin: 0 0 2rem; } nav a { margin-right: 1rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .6rem .8rem; display: flex; gap: .75rem; flex-wrap: wrap; }
summary code { font-size: .95rem; overflow-wrap: anywhere; } summary span { opacity: .75; }
details > div { padding: 0 .8rem .8rem; border-top: 1px solid var(--line); }
.verb { display: inline-block; min-width: 4.2rem; font: 600 .8rem/1.9 ui-monospace, monospace; }
.get { color: #1a7f37; } .post { color: #0969da; } .put, .patch { color: #9a6700; } .delete { color: #cf222e; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid var(--line); }
pre { background: var(--soft); padding: .75rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
@media (prefers-color-scheme: dark) { .get { color: #3fb950; } .post { color: #58a6ff; } .put, .patch { color: #d29922; }
 .delete { color: #f85149; } }
"""

Spec = Mapping[str, Any]


def build(surfaces: Mapping[str, FastAPI]) -> Starlette:
    """Serves `/docs`, `/docs/<surface>` and `/docs/<surface>/openapi.json` for the named surfaces."""

    async def index(request: Request) -> Response:
        rows = "".join(_index_row(name, app.openapi()) for name, app in surfaces.items())
        table = f"<table><tr><th>Surface</th><th>What it is</th><th>Operations</th></tr>{rows}</table>"
        return HTMLResponse(
            _page("Countersign", "<h1>Countersign</h1><p>One ledger, several published APIs over it.</p>" + table)
        )

    async def surface(request: Request) -> Response:
        app = surfaces.get(request.path_params["surface"])
        if app is None:
            return HTMLResponse(_page("Not found", '<h1>Not found</h1><p><a href="/docs">All surfaces</a></p>'), 404)
        return HTMLResponse(_surface_page(request.path_params["surface"], app.openapi()))

    async def document(request: Request) -> Response:
        app = surfaces.get(request.path_params["surface"])
        return JSONResponse({"detail": "Not found."}, 404) if app is None else JSONResponse(app.openapi())

    async def home(request: Request) -> Response:
        return RedirectResponse("/docs")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/docs", index),
            Route("/docs/{surface}", surface),
            Route("/docs/{surface}/openapi.json", document),
        ]
    )


def _index_row(name: str, spec: Spec) -> str:
    link = f'<a href="/docs/{escape(name)}">{escape(name)}</a>'
    return f"<tr><td>{link}</td><td>{escape(spec['info'].get('summary', ''))}</td><td>{_count(spec)}</td></tr>"


def _page(title: str, body: str) -> str:
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{view}<title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>'


def _prose(text: str) -> str:
    """Text with its one kind of markup, `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _operations(spec: Spec) -> Iterator[tuple[str, str, Spec]]:
    for path, item in spec.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def _count(spec: Spec) -> int:
    return sum(1 for _ in _operations(spec))


def _surface_page(name: str, spec: Spec) -> str:
    info = spec["info"]
    groups: dict[str, list[str]] = {}
    for method, path, operation in _operations(spec):
        tag = (operation.get("tags") or ["Operations"])[0]
        groups.setdefault(tag, []).append(_operation(spec, method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(items)}" for tag, items in groups.items())
    sections = f"{_credentials(spec)}{sections}{_shapes(spec)}"
    about = "".join(f"<p>{_prose(part)}</p>" for part in str(info.get("description", "")).split("\n\n") if part.strip())
    nav = f'<nav><a href="/docs">All surfaces</a><a href="/docs/{escape(name)}/openapi.json">OpenAPI document</a></nav>'
    return _page(info["title"], f"{nav}<h1>{escape(info['title'])}</h1>{about}{sections}")


def _operation(spec: Spec, method: str, path: str, operation: Spec) -> str:
    parts = [f"<p>{_prose(operation['description'])}</p>"] if operation.get("description") else []
    rows = [
        (
            parameter["name"],
            parameter["in"],
            _type(spec, parameter.get("schema", {})),
            parameter.get("required", False),
            parameter,
        )
        for parameter in operation.get("parameters", ())
    ]
    security = operation.get("security", spec.get("security", ()))
    if security:
        ways = " or ".join(" + ".join(f"<code>{escape(name)}</code>" for name in way) or "none" for way in security)
        parts.append(f"<p>Credentials: {ways}</p>")
    if rows:
        parts.append(_table(("Parameter", "In", "Type", "Required", "Meaning"), rows))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        body = content.get("schema", {})
        parts.append(f"<p>Body: {_shape(spec, body)} as <code>{escape(media_type)}</code></p>")
        parts.append(_members(spec, body))
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{_prose(answer.get('description', ''))}</td><td>{_bodies(spec, answer)}</td></tr>"
        for status, answer in operation.get("responses", {}).items()
    )
    parts.append(f"<table><tr><th>Status</th><th>Answer</th><th>Body</th></tr>{answers}</table>")
    return (
        f'<details><summary><span class="verb {method}">{method.upper()}</span><code>{escape(path)}</code>'
        f"<span>{escape(operation.get('summary', ''))}</span></summary><div>{''.join(parts)}</div></details>"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, str, str, bool, Spec]]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td><td>{escape(kind)}</td>"
        f"<td>{'yes' if required else 'no'}</td><td>{_prose(item.get('description', ''))}</td></tr>"
        for name, place, kind, required, item in rows
    )
    return f"<table><tr>{''.join(f'<th>{label}</th>' for label in head)}</tr>{lines}</table>"


def _credentials(spec: Spec) -> str:
    """How requests are authenticated: each scheme, where it stands, and what it is."""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td><code>{escape(_place(scheme))}</code></td>"
        f"<td>{_prose(scheme.get('description', ''))}</td></tr>"
        for name, scheme in spec.get("components", {}).get("securitySchemes", {}).items()
    )
    head = "<tr><th>Credential</th><th>Sent as</th><th>Meaning</th></tr>"
    return f"<h2>Credentials</h2><table>{head}{rows}</table>" if rows else ""


def _place(scheme: Spec) -> str:
    if scheme["type"] == "apiKey":
        return f"{scheme['name']}: ..." if scheme["in"] == "header" else f"{scheme['in']} {scheme['name']}"
    return f"Authorization: {str(scheme.get('scheme', scheme['type'])).capitalize()} ..."


def _bodies(spec: Spec, answer: Spec) -> str:
    return "<br>".join(
        f"{_shape(spec, content.get('schema', {}))} as <code>{escape(media_type)}</code>"
        for media_type, content in answer.get("content", {}).items()
    )


def _shape(spec: Spec, schema: Spec) -> str:
    """A type's name, leading to its members where it has a name of its own."""
    name = _type(spec, schema)
    target = name.removesuffix("[]")
    code = f"<code>{escape(name)}</code>"
    known = target in spec.get("components", {}).get("schemas", {})
    return f'<a href="#shape-{escape(target)}">{code}</a>' if known else code


def _shapes(spec: Spec) -> str:
    """The members of everything that has a name: answers, bodies, and the errors."""
    shapes = "".join(
        f'<details id="shape-{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
        f"<p>{_prose(schema.get('description', ''))}</p>{_members(spec, schema)}</div></details>"
        for name, schema in sorted(spec.get("components", {}).get("schemas", {}).items())
    )
    return f"<h2>Shapes</h2>{shapes}" if shapes else ""


def _resolve(spec: Spec, schema: Spec) -> Spec:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Spec = spec["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _members(spec: Spec, schema: Spec) -> str:
    schema = _resolve(spec, schema)
    if schema.get("type") == "array":
        schema = _resolve(spec, schema.get("items", {}))
    required = schema.get("required", ())
    rows = [
        (name, "body", _type(spec, member), name in required, {**_resolve(spec, member), **member})
        for name, member in schema.get("properties", {}).items()
    ]
    return _table(("Field", "In", "Type", "Required", "Meaning"), rows) if rows else ""


def _type(spec: Spec, schema: Spec) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(spec, part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"{_type(spec, schema.get('items', {}))}[]"
    return str(schema.get("format") or schema.get("type", "any"))
